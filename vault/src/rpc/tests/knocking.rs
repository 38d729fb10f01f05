//! Who is let in, who is not, and that nobody takes another's room.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use super::clock::HandClock;
use crate::rpc::accept::{PeerStream, Reception, most_connections};
use crate::rpc::peer::tests::Book;
use crate::rpc::peer::{Door, Peer, Users};

struct Hall {
    dir: tempfile::TempDir,
    clock: Arc<HandClock>,
    book: Arc<Book>,
    reception: Arc<Reception>,
    stop: CancellationToken,
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

impl Hall {
    fn new(users: Users) -> Self {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let (clock, book) = (HandClock::new(), Arc::new(Book::default()));
        let reception = Reception::new(users, Arc::clone(&book) as _, Arc::clone(&clock) as _);
        Self { dir, clock, book, reception, stop: CancellationToken::new() }
    }

    fn open(&self, name: &str, door: Door) -> mpsc::Receiver<PeerStream> {
        let listener = UnixListener::bind(self.dir.path().join(name)).unwrap();
        let (inside, accepted) = mpsc::channel(64);
        tokio::spawn(Arc::clone(&self.reception).accept(listener, door, inside, self.stop.clone()));
        accepted
    }

    async fn knock(&self, name: &str) -> UnixStream {
        UnixStream::connect(self.dir.path().join(name)).await.unwrap()
    }
}

/// Whether the other side hung up without a word.
async fn dropped_silently(mut stream: UnixStream) -> bool {
    let mut buffer = [0; 64];
    matches!(stream.read(&mut buffer).await, Ok(0) | Err(_))
}

fn users(own: u32, admins: &[u32]) -> Users {
    Users { own, overflow: 65534, admins: admins.to_vec() }
}

#[tokio::test]
async fn a_stranger_gets_not_a_byte() {
    // A vault that runs as somebody else, and in which this user is nobody.
    let hall = Hall::new(users(me() + 1, &[me() + 2]));
    hall.book.agents.lock().unwrap().insert(me() + 3, "bot".parse().unwrap());
    let doors = [
        Door::Admins,
        Door::Agents,
        Door::Adapters,
        Door::OnlyAdmin,
        Door::OnlyAgent("bot".parse().unwrap()),
        Door::OnlyAdapter("gmail".parse().unwrap()),
    ];
    for (index, door) in doors.into_iter().enumerate() {
        let name = index.to_string();
        let mut inside = hall.open(&name, door.clone());
        let mut stream = hall.knock(&name).await;
        // The connection may be closed before this arrives.
        let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        assert!(dropped_silently(stream).await, "{door:?} answered");
        assert!(inside.try_recv().is_err(), "{door:?} let a stranger in");
    }
    assert_eq!(hall.reception.open(), 0);
}

#[tokio::test]
async fn a_peer_is_who_the_kernel_says() {
    let hall = Hall::new(users(me() + 1, &[me()]));
    let mut admins = hall.open("admin", Door::Admins);
    let _stream = hall.knock("admin").await;
    assert_eq!(admins.recv().await.unwrap().connect_info(), Peer::Admin(me()));

    // Registered as an agent, the same user is no admin any more.
    hall.book.agents.lock().unwrap().insert(me(), "bot".parse().unwrap());
    let mut agents = hall.open("agent", Door::Agents);
    let _stream = hall.knock("agent").await;
    let bot = Peer::Agent("bot".parse().unwrap(), me());
    assert_eq!(agents.recv().await.unwrap().connect_info(), bot);
    assert!(dropped_silently(hall.knock("admin").await).await);
}

#[tokio::test]
async fn another_user_of_this_machine_is_let_in_where_it_belongs_and_nowhere_else() {
    // Only root can be somebody else; elsewhere the table of `peer` has to do.
    if me() != 0 {
        return;
    }
    let hall = Hall::new(users(0, &[0]));
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(hall.dir.path(), open).unwrap();
    hall.book.agents.lock().unwrap().insert(23_456, "bot".parse().unwrap());
    let mut agents = hall.open("agent", Door::Agents);
    let mut admins = hall.open("admin", Door::Admins);
    for name in ["agent", "admin"] {
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(hall.dir.path().join(name), all).unwrap();
    }
    let program = hall.dir.path().join("knock");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let knock = |name: &str, uid: u32| {
        let path = hall.dir.path().join(name);
        let mut command = Command::new(&program);
        command.args(["--exact", "rpc::tests::knocking::knocks_for_another_test"]);
        command.env("CLAVIGER_TEST_KNOCK", path).uid(uid).gid(uid).current_dir("/");
        tokio::task::spawn_blocking(move || assert!(command.output().unwrap().status.success()))
    };
    knock("agent", 23_456).await.unwrap();
    let bot = Peer::Agent("bot".parse().unwrap(), 23_456);
    assert_eq!(agents.recv().await.unwrap().connect_info(), bot);
    knock("admin", 23_456).await.unwrap();
    knock("agent", 34_567).await.unwrap();
    // Whoever is asked after them comes after them: nobody else was let in.
    knock("admin", 0).await.unwrap();
    assert_eq!(admins.recv().await.unwrap().connect_info(), Peer::Admin(0));
    assert!(agents.try_recv().is_err());
}

/// The other process of the test above.
#[test]
#[allow(clippy::disallowed_methods, reason = "how the test above tells this process where to knock")]
fn knocks_for_another_test() {
    if let Some(path) = std::env::var_os("CLAVIGER_TEST_KNOCK") {
        drop(std::os::unix::net::UnixStream::connect(Path::new(&path)).unwrap());
    }
}

#[tokio::test]
async fn one_peer_takes_no_room_of_another() {
    let hall = Hall::new(users(me(), &[]));
    let (one, two) = ("one".parse().unwrap(), "two".parse().unwrap());
    hall.book.agents.lock().unwrap().extend([(1, one), (2, two)]);
    let mut ones = hall.open("one", Door::OnlyAgent("one".parse().unwrap()));
    let mut twos = hall.open("two", Door::OnlyAgent("two".parse().unwrap()));
    let most = most_connections(&Peer::Agent("one".parse().unwrap(), me()));
    let mut held = Vec::new();
    for _ in 0..most {
        held.push((hall.knock("one").await, ones.recv().await.unwrap()));
    }
    assert!(dropped_silently(hall.knock("one").await).await, "a connection too many was let in");
    let _other = hall.knock("two").await;
    assert!(twos.recv().await.is_some());
    // When one of them is over, there is room again.
    drop(held.pop());
    let _again = hall.knock("one").await;
    assert!(ones.recv().await.is_some());
}

#[tokio::test]
async fn connections_end_with_their_peer() {
    let hall = Hall::new(users(me() + 1, &[]));
    hall.book.agents.lock().unwrap().insert(me(), "bot".parse().unwrap());
    let mut agents = hall.open("agent", Door::Agents);
    let mut client = hall.knock("agent").await;
    let mut server = agents.recv().await.unwrap();
    hall.reception.sweep();
    client.write_all(b"x").await.unwrap();
    assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 1);
    // The user is another agent now: what it opened as the first one ends, at both directions.
    hall.book.agents.lock().unwrap().insert(me(), "other".parse().unwrap());
    hall.reception.sweep();
    assert!(server.read(&mut [0; 1]).await.is_err());
    assert!(server.write(b"x").await.is_err());
    drop(server);
    assert!(dropped_silently(client).await);
    assert_eq!(hall.reception.open(), 0);
}

#[tokio::test]
async fn whoever_says_nothing_is_shown_out() {
    let hall = Hall::new(users(me(), &[]));
    let mut admins = hall.open("admin", Door::OnlyAdmin);
    let mut silent = hall.knock("admin").await;
    let mut server = admins.recv().await.unwrap();
    silent.write_all(b"PRI * ").await.unwrap();
    assert!(server.read(&mut [0; 64]).await.is_ok());
    hall.clock.advance_ms(6_000);
    assert!(server.read(&mut [0; 64]).await.is_err());

    let mut talking = hall.knock("admin").await;
    let mut server = admins.recv().await.unwrap();
    talking.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    assert_eq!(server.read(&mut [0; 64]).await.unwrap(), 24);
    hall.clock.advance_ms(60_000);
    talking.write_all(b"x").await.unwrap();
    assert_eq!(server.read(&mut [0; 64]).await.unwrap(), 1);
}

#[tokio::test]
async fn a_connection_ends_with_the_process_that_made_it() {
    let hall = Hall::new(users(me(), &[]));
    let mut admins = hall.open("admin", Door::OnlyAdmin);
    let probe = hall.knock("admin").await;
    if nix::sys::socket::getsockopt(&probe, nix::sys::socket::sockopt::PeerPidfd).is_err() {
        // Linux before 6.5.
        return;
    }
    drop(admins.recv().await);
    // A process that leaves its connection to a child of its own, and dies.
    let path = hall.dir.path().join("admin");
    let script = "use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($ARGV[0])) or die; \
                  if (!fork) { close STDOUT; sleep 3 }";
    let Ok(mut child) = Command::new("perl").args(["-e", script]).arg(&path).spawn() else { return };
    let mut server = admins.recv().await.unwrap();
    tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
    let ended = server.read(&mut [0; 1]).await;
    assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionAborted);
}
