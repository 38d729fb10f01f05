//! Sockets come and go with the registry, and stand nowhere that somebody else can write to.

use std::fs::Permissions;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::clock::HandClock;
use crate::rpc::accept::{PeerStream, Reception};
use crate::rpc::listen::{Doors, Inherited, Inside, ListenFault, Places};
use crate::rpc::peer::Users;
use crate::rpc::peer::tests::Book;

struct House {
    dir: tempfile::TempDir,
    book: Arc<Book>,
    doors: Doors,
    _admins: mpsc::Receiver<PeerStream>,
    agents: mpsc::Receiver<PeerStream>,
    _adapters: mpsc::Receiver<PeerStream>,
}

fn places(dir: &Path, single_user: bool) -> Places {
    let run = dir.join("run");
    let (agents, adapters) = if single_user {
        (run.join("agents"), run.join("adapters"))
    } else {
        (run.join("agent.sock"), run.join("adapter.sock"))
    };
    let mut dirs = vec![run.clone()];
    if single_user {
        dirs.extend([agents.clone(), adapters.clone()]);
    }
    Places { single_user, dirs, admin: run.join("admin.sock"), agents, adapters }
}

fn house(dir: tempfile::TempDir, single_user: bool, inherited: Inherited) -> House {
    let own = rustix::process::geteuid().as_raw();
    let users = Users { own, overflow: 65534, admins: vec![own] };
    let book = Arc::new(Book::default());
    let reception = Reception::new(users, Arc::clone(&book) as _, HandClock::new());
    let ((admins, a), (agents, b), (adapters, c)) = (mpsc::channel(8), mpsc::channel(8), mpsc::channel(8));
    let inside = Inside { admins, agents, adapters };
    let places = places(dir.path(), single_user);
    places.prepare().unwrap();
    let doors = Doors::new(places, Arc::clone(&book) as _, reception, inside, inherited);
    House { dir, book, doors, _admins: a, agents: b, _adapters: c }
}

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir_in("/tmp").unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().mode() & 0o777
}

#[tokio::test]
async fn doors_come_and_go_with_the_peers() {
    let mut house = house(temporary(), true, Inherited::default());
    let run = house.dir.path().join("run");
    house.doors.follow().unwrap();
    assert_eq!((mode(&run), mode(&run.join("agents")), mode(&run.join("admin.sock"))), (0o700, 0o700, 0o600));
    assert!(!run.join("agents/bot.sock").exists());

    house.book.agents.lock().unwrap().insert(1, "bot".parse().unwrap());
    house.book.adapters.lock().unwrap().insert(2, "gmail".parse().unwrap());
    house.doors.follow().unwrap();
    assert_eq!(mode(&run.join("agents/bot.sock")), 0o600);
    assert_eq!(mode(&run.join("adapters/gmail.sock")), 0o600);
    let client = UnixStream::connect(run.join("agents/bot.sock")).await.unwrap();
    let mut server = house.agents.recv().await.unwrap();

    house.book.agents.lock().unwrap().clear();
    house.doors.follow().unwrap();
    assert!(!run.join("agents/bot.sock").exists());
    assert!(run.join("adapters/gmail.sock").exists());
    assert!(tokio::io::AsyncReadExt::read(&mut server, &mut [0; 1]).await.is_err(), "its connection goes on");
    drop(client);

    house.doors.remove().await;
    assert!(!run.join("admin.sock").exists() && !run.join("adapters/gmail.sock").exists());
}

#[tokio::test]
async fn every_user_can_knock_at_a_multi_user_vault() {
    let house = house(temporary(), false, Inherited::default());
    house.doors.follow().unwrap();
    let run = house.dir.path().join("run");
    for name in ["admin.sock", "agent.sock", "adapter.sock"] {
        assert_eq!(mode(&run.join(name)), 0o666, "{name}");
    }
    assert_eq!(mode(&run), 0o755);
}

#[tokio::test]
async fn listeners_go_on_in_the_next_process() {
    let first = house(temporary(), true, Inherited::default());
    first.book.agents.lock().unwrap().insert(1, "bot".parse().unwrap());
    first.doors.follow().unwrap();
    let listeners = first.doors.shut().await;
    assert_eq!(listeners.len(), 2);
    let run = first.dir.path().join("run");
    let inode = std::fs::metadata(run.join("agents/bot.sock")).unwrap().ino();
    // Nobody serves now, and still this connects: it waits.
    let client = UnixStream::connect(run.join("agents/bot.sock")).await.unwrap();

    let House { dir, .. } = first;
    let mut second = house(dir, true, Inherited::of(listeners));
    second.book.agents.lock().unwrap().insert(1, "bot".parse().unwrap());
    second.doors.follow().unwrap();
    assert_eq!(std::fs::metadata(run.join("agents/bot.sock")).unwrap().ino(), inode);
    assert!(second.agents.recv().await.is_some());
    drop(client);
}

#[tokio::test]
async fn what_is_in_the_way() {
    let house = house(temporary(), true, Inherited::default());
    let admin = house.dir.path().join("run/admin.sock");
    // A socket that a dead process left is cleared away.
    drop(std::os::unix::net::UnixListener::bind(&admin).unwrap());
    house.doors.follow().unwrap();
    house.doors.remove().await;
    assert!(!admin.exists());

    // One that somebody serves is not, nor is a file.
    let serving = std::os::unix::net::UnixListener::bind(&admin).unwrap();
    assert!(matches!(house.doors.follow(), Err(ListenFault::Occupied { .. })));
    assert!(std::fs::symlink_metadata(&admin).unwrap().file_type().is_socket());
    drop(serving);
    std::fs::remove_file(&admin).unwrap();
    std::fs::write(&admin, "precious").unwrap();
    assert!(matches!(house.doors.follow(), Err(ListenFault::NotASocket { .. })));
    assert_eq!(std::fs::read(&admin).unwrap(), b"precious");
    // And when it is gone, the next change opens the door.
    std::fs::remove_file(&admin).unwrap();
    house.doors.follow().unwrap();
}

#[test]
fn directories_that_others_can_write_to_are_refused() {
    let dir = temporary();
    let run = dir.path().join("run");
    std::fs::create_dir(&run).unwrap();
    std::fs::set_permissions(&run, Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(places(dir.path(), false).prepare(), Err(ListenFault::Exposed { mode: 0o777, .. })));
    // A single-user vault makes it its own again.
    places(dir.path(), true).prepare().unwrap();
    assert_eq!(mode(&run), 0o700);

    // A link is no directory, wherever it leads.
    let linked = temporary();
    std::os::unix::fs::symlink(&run, linked.path().join("run")).unwrap();
    assert!(matches!(places(linked.path(), true).prepare(), Err(ListenFault::Io { .. })));

    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&run, Some(12_345), None).unwrap();
        let refused = places(dir.path(), true).prepare();
        assert!(matches!(refused, Err(ListenFault::Foreign { owner: 12_345, own: 0, .. })));
    }
}
