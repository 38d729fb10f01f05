//! What SIGHUP does, without the signal.

use std::sync::{Arc, Mutex};

use tracing::Level;

use super::super::log::Loudness;
use super::super::reload::reload;
use super::*;

const GMAIL: &str = include_str!("../../../services/gmail.toml");

/// What the vault says of Gmail's first tool.
async fn summary(home: &Home) -> String {
    let services = home.admin().await.list_services(v1::ListServicesRequest {}).await.unwrap().into_inner();
    let gmail = services.services.into_iter().find(|service| service.id == "gmail").unwrap();
    let labels = gmail.tools.into_iter().find(|tool| tool.name == "gmail.list_labels").unwrap();
    labels.description
}

#[tokio::test(flavor = "multi_thread")]
async fn services_and_loudness_are_read_anew_or_nothing_is() {
    let home = Home::new();
    let daemon = home.start(home.unlock()).await;
    let levels = Arc::new(Mutex::new(Vec::new()));
    let known = Arc::clone(&levels);
    let loudness = Loudness::of(move |level| known.lock().unwrap().push(level));
    let config = home.dir.path().join("claviger.toml");
    let whole = std::fs::read_to_string(&config).unwrap();
    let services = home.dir.path().join("services");
    std::fs::create_dir(&services).unwrap();

    let before = summary(&home).await;
    let (head, tail) = GMAIL.split_once("[tool.list_labels]\nsummary = \"").unwrap();
    let (_, tail) = tail.split_once('"').unwrap();
    let changed = format!("{head}[tool.list_labels]\nsummary = \"All labels there are\"{tail}");
    let level = |word: &str| format!("log = \"{word}\"\n{whole}");
    // Either of them is wrong: neither counts.
    for (file, text) in
        [(level("loud"), changed.clone()), (level("debug"), changed.replace("effect", "affect"))]
    {
        std::fs::write(&config, file).unwrap();
        std::fs::write(services.join("gmail.toml"), text).unwrap();
        reload(&daemon.vault, &loudness).await;
        assert_eq!(summary(&home).await, before);
    }
    assert!(levels.lock().unwrap().is_empty());
    // Both are right. What the running vault stands on stays what it was.
    std::fs::write(&config, level("debug").replace("mode = ", "run-dir = \"/tmp/elsewhere\"\nmode = "))
        .unwrap();
    std::fs::write(services.join("gmail.toml"), &changed).unwrap();
    for _ in 0..2 {
        reload(&daemon.vault, &loudness).await;
        assert!(summary(&home).await.contains("All labels there are"));
    }
    assert_eq!(*levels.lock().unwrap(), [Level::DEBUG, Level::DEBUG]);
    // The second time there was nothing new.
    assert_eq!(kinds(&daemon).await, [Kind::Started, Kind::Unsealed, Kind::Reloaded]);
    // A file that anybody could have written is not believed.
    std::fs::remove_file(services.join("gmail.toml")).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&config, open).unwrap();
    reload(&daemon.vault, &loudness).await;
    assert!(summary(&home).await.contains("All labels there are"));
    daemon.stop().await;
}
