//! Starting, unsealing, sealing, stopping; and peers that come and go.

use tokio_stream::StreamExt as _;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn unsealing_is_slow_for_whoever_guesses() {
    let home = Home::new();
    let daemon = home.start(None).await;
    let mut admin = home.admin().await;
    assert!(admin.status(v1::StatusRequest {}).await.unwrap().into_inner().sealed);
    // EXPOSE: another identity, which is none of this vault's.
    let other = identity_new().0.expose_secret().to_owned();
    let wrong = v1::UnsealRequest { key: Some(v1::unseal_request::Key::Identity(other)) };
    assert_eq!(class(&admin.unseal(wrong.clone()).await.unwrap_err()), "bad-arguments");
    // Even the right key has to wait.
    assert_eq!(class(&admin.unseal(home.unseal_request()).await.unwrap_err()), "rate-limited");
    home.clock.advance_ms(1_001);
    admin.unseal(home.unseal_request()).await.unwrap();
    assert!(!admin.status(v1::StatusRequest {}).await.unwrap().into_inner().sealed);
    assert_eq!(class(&admin.unseal(wrong).await.unwrap_err()), "bad-arguments");
    assert_eq!(kinds(&daemon).await, [Kind::Started, Kind::Unsealed]);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_record_no_unsealing() {
    let home = Home::new();
    let daemon = home.start(None).await;
    daemon.vault.audit.close().await;
    let mut admin = home.admin().await;
    assert_eq!(class(&admin.unseal(home.unseal_request()).await.unwrap_err()), "unavailable");
    assert!(!daemon.vault.sealer.is_unsealed() && !daemon.vault.broker.is_unsealed());
    assert!(admin.status(v1::StatusRequest {}).await.unwrap().into_inner().sealed);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_at_the_start_starts_nothing() {
    let home = Home::new();
    let wrong = Some(Unlock::Identity(identity_new().0));
    assert!(home.start_with(wrong, Inherited::default()).await.is_err());
    assert!(!home.socket("admin.sock").exists());
    // And leaves no lock behind.
    home.start(home.unlock()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_lost_its_store_does_not_begin_another() {
    let home = Home::new();
    home.start(home.unlock()).await.stop().await;
    for name in ["vault.db", "vault.db-wal", "vault.db-shm"] {
        let _ = std::fs::remove_file(home.dir.path().join("store").join(name));
    }
    let fault = home.start_with(home.unlock(), Inherited::default()).await.err().unwrap();
    assert!(fault.to_string().contains("missing"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_home_has_one_vault() {
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    assert!(home.start_with(home.unlock(), Inherited::default()).await.is_err());
    home.admin().await.status(v1::StatusRequest {}).await.unwrap();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_takes_the_sockets_away_and_says_so() {
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    let mut admin = home.admin().await;
    add_peers(&mut admin).await;
    let mut watch = home.agent("bot").await.watch(v1::WatchRequest {}).await.unwrap().into_inner();
    assert!(watch.next().await.unwrap().is_ok());
    let vault = Arc::clone(&daemon.vault);
    // A stream of changes and an open connection keep nothing waiting: the clock stands still.
    daemon.stop().await;
    assert!(watch.next().await.is_none());
    assert!(!home.socket("admin.sock").exists() && !home.socket("agents/bot.sock").exists());
    assert!(!vault.sealer.is_unsealed());
    drop(vault);
    let daemon = home.start(None).await;
    assert_eq!(
        kinds(&daemon).await.into_iter().rev().take(2).collect::<Vec<_>>(),
        [Kind::Started, Kind::Stopped]
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sealing_answers_first_and_hands_on_the_listeners() {
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    let mut admin = home.admin().await;
    add_peers(&mut admin).await;
    let mut bot = home.agent("bot").await;
    bot.open(v1::OpenRequest::default()).await.unwrap();
    let mut watch = bot.watch(v1::WatchRequest {}).await.unwrap().into_inner();
    watch.next().await.unwrap().unwrap();

    let answer = tokio::spawn(async move { admin.seal(v1::SealRequest {}).await });
    daemon.sealing.cancelled().await;
    // Whoever asks now is refused, whatever they hold.
    assert_eq!(class(&bot.open(v1::OpenRequest::default()).await.unwrap_err()), "sealed");
    let vault = Arc::clone(&daemon.vault);
    let listeners = daemon.seal().await;
    assert!(answer.await.unwrap().is_ok());
    assert!(watch.next().await.is_none());
    assert_eq!(listeners.len(), 4);
    assert!(!vault.sealer.is_unsealed());
    drop(vault);

    // Who connects between the two is served by the second.
    let waiting = home.raw("admin.sock");
    waiting.set_nonblocking(true).unwrap();
    let daemon = home.start_with(None, Inherited::of(listeners)).await.unwrap();
    let mut admin = home.admin().await;
    assert!(admin.status(v1::StatusRequest {}).await.unwrap().into_inner().sealed);
    assert_eq!(class(&home.agent("bot").await.open(v1::OpenRequest::default()).await.unwrap_err()), "sealed");
    admin.unseal(home.unseal_request()).await.unwrap();
    let kinds = kinds(&daemon).await;
    let sealed = kinds.iter().position(|kind| *kind == Kind::Sealed).unwrap();
    assert_eq!(kinds[sealed..], [Kind::Sealed, Kind::Started, Kind::Unsealed]);
    drop(waiting);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_agent_is_cut_off_and_the_others_are_not() {
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    let mut admin = home.admin().await;
    add_peers(&mut admin).await;
    until("the sockets are there", || home.answers("agents/other.sock")).await;
    let mut watch = home.agent("bot").await.watch(v1::WatchRequest {}).await.unwrap().into_inner();
    let first = watch.next().await.unwrap().unwrap().sequence;
    let mut other = home.agent("other").await;
    let mut others = other.watch(v1::WatchRequest {}).await.unwrap().into_inner();
    others.next().await.unwrap().unwrap();

    admin.remove_agent(v1::RemoveAgentRequest { name: "bot".into() }).await.unwrap();
    // The last it hears is that something changed, if it hears even that.
    let mut last = watch.next().await;
    if let Some(Ok(changed)) = &last {
        assert!(changed.sequence > first);
        last = watch.next().await;
    }
    assert!(!matches!(last, Some(Ok(_))));
    until("its socket is gone", || !home.socket("agents/bot.sock").exists()).await;
    assert!(others.next().await.unwrap().is_ok());
    other.open(v1::OpenRequest::default()).await.unwrap();

    admin.add_agent(v1::AddAgentRequest { name: "bot".into(), ..Default::default() }).await.unwrap();
    until("its socket is there", || home.answers("agents/bot.sock")).await;
    home.agent("bot").await.open(v1::OpenRequest::default()).await.unwrap();
    daemon.stop().await;
}

/// Copies a directory of files as it is, as a kill leaves it; sockets stay where they are.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (kind, target) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A kill comes before the mark of the clock is saved, and then the clock is set back: the log says how late it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_does_not_hide_how_late_it_was() {
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    let mut admin = home.admin().await;
    let agent = |name: &str| v1::AddAgentRequest { name: name.into(), ..Default::default() };
    admin.add_agent(agent("early")).await.unwrap();
    // An hour goes by on the wall alone, so that nothing is done that is done now and then.
    home.clock.step_ms(3_600_000);
    admin.add_agent(agent("late")).await.unwrap();
    let killed =
        Home { dir: tempfile::tempdir_in("/tmp").unwrap(), identity: home.key(), clock: home.clock.clone() };
    copy(home.dir.path(), killed.dir.path());
    daemon.stop().await;

    home.clock.step_ms(-60_000);
    let daemon = killed.start(killed.unlock()).await;
    let refuses = async |home: &Home| {
        home.admin().await.status(v1::StatusRequest {}).await.unwrap().into_inner().clock_refuses
    };
    assert!(!refuses(&killed).await, "a minute is nothing");
    daemon.stop().await;
    home.clock.step_ms(-3_000);
    let daemon = killed.start(killed.unlock()).await;
    assert!(refuses(&killed).await, "an hour came back");
    // An admin's word settles it, for the next run too.
    killed.admin().await.reset_clock(v1::ResetClockRequest {}).await.unwrap();
    assert!(!refuses(&killed).await);
    daemon.stop().await;
    let daemon = killed.start(killed.unlock()).await;
    assert!(!refuses(&killed).await, "it was told that the clock is right");
    daemon.stop().await;
}
