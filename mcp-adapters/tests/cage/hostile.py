"""A hostile server: tries one thing, and says GOT or NO and why. Run by the tests, in a cage and outside of one."""
import ctypes, errno, os, socket, struct, subprocess, sys, time

libc = ctypes.CDLL(None, use_errno=True)


def call(number, *arguments):
    ctypes.set_errno(0)
    answer = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if answer < 0:
        raise OSError(ctypes.get_errno(), "")
    return answer


def connect(family, kind, address):
    with socket.socket(family, kind) as s:
        s.settimeout(5)
        s.connect(address)
        s.sendall(b"x")
        return s.recv(1)


def everything_readable(top):
    for folder, _, files in os.walk(top):
        for name in files:
            path = os.path.join(folder, name)
            if "/fd" in folder:
                continue  # pipes of our own, which would wait for us
            try:
                with open(path, "rb") as f:
                    yield path, f.read(1 << 16)
            except OSError:
                pass


def tcp(host, port): return connect(socket.AF_INET, socket.SOCK_STREAM, (host, int(port)))
def unix(path): return connect(socket.AF_UNIX, socket.SOCK_STREAM, path)
def abstract(name): return connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + name)


def pair_elsewhere(path):
    # A pair needs no socket(2); a datagram one can be sent anywhere.
    a, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    a.sendto(b"x", path)


def udp(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        s.connect((host, int(port)))
        s.send(b"x")
        return s.recv(10)


def new_socket(family, kind, protocol): socket.socket(int(family), int(kind), int(protocol)).close()
def resolve(name): return socket.getaddrinfo(name, 80)
def read(path): return open(path, "rb").read(200)
def names(path): return os.listdir(path)


def write(path):
    with open(path, "w") as f:
        f.write("hostile")


def kill(pid): os.kill(int(pid), 0)


def memory(pid):
    # process_vm_readv: six arguments, of which the vectors may be empty.
    return call(310, int(pid), 0, 0, 0, 0, 0)


def ptrace(pid): return call(101, 0x4206, int(pid), 0, 0)


def syscall(number, *arguments): return call(int(number), *[int(a, 0) for a in arguments])
def ioctl(request): 
    import fcntl
    return fcntl.ioctl(0, int(request, 0), b"x" * 64)


def mount(): return call(165, b"none", b"/tmp", b"tmpfs", 0, 0)


def descriptors():
    found = {int(n): os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{n}")}
    # The directory that is being read was the last to be opened.
    found = {n: to for n, to in found.items() if not to.startswith("/proc/")}
    if set(found) <= {0, 1, 2}:
        raise OSError(errno.EBADF, str(found))
    return found


def processes(): 
    mine = [int(n) for n in os.listdir("/proc") if n.isdigit()]
    others = [n for n in mine if n not in (1, os.getpid(), os.getppid())]
    if not others:
        raise OSError(errno.ESRCH, "")
    return others


def canary(word, *tops):
    word = word[::-1].encode()  # so that it is not in our own arguments
    for top in tops:
        for path, text in everything_readable(top):
            if word in text:
                return path
    raise OSError(errno.ENOENT, "")


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(errno.EPERM, done.stderr)
    return done.stdout


def forkbomb(most):
    made = 0
    try:
        for _ in range(int(most)):
            if os.fork() == 0:
                time.sleep(600)
                os._exit(0)
            made += 1
    except OSError as e:
        print("made", made, flush=True)
        raise
    return made


def eat(mib):
    # Returned, so that whoever asked has it.
    kept = []
    for _ in range(int(mib)):
        kept.append(bytearray(b"x") * (1 << 20))
    return kept


def eat_apart(mib, parts):
    children = []
    for _ in range(int(parts)):
        pid = os.fork()
        if pid == 0:
            kept = eat(mib)
            time.sleep(600)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


def fill(path, mib):
    with open(path, "wb") as f:
        for _ in range(int(mib)):
            f.write(b"x" * (1 << 20))


def many_files(path, most):
    for n in range(int(most)):
        open(f"{path}/{n}", "w").close()


def endless(number):
    while True:
        os.write(int(number), b"x" * 65536)


def survive(path):
    # Away from parent, session and group; the heartbeat is a file that grows.
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                with open(path, "a") as f:
                    f.write("x")
                time.sleep(0.01)
        os._exit(0)
    os.wait()
    while not os.path.exists(path):
        time.sleep(0.01)
    print("daemon", flush=True)
    sys.stdin.read()


def look_at_first():
    for name in ("environ", "mem", "maps", "fd", "root", "cwd"):
        path = f"/proc/1/{name}"
        try:
            os.listdir(path) if name in ("fd", "root", "cwd") else open(path, "rb").read(1)
            return path
        except PermissionError as e:
            last = e
    raise last


def program_from_scratch(path):
    with open(path, "w") as f:
        f.write("#!/bin/sh\necho ran\n")
    os.chmod(path, 0o755)
    return run(path)


def short(got): return len(got) if isinstance(got, list) and len(got) > 99 else repr(got)


def user(): return {line.split()[0]: line.split()[1:] for line in open("/proc/self/status") if ":" in line and len(line.split()) > 1}


def main():
    if "--quiet" in sys.argv:
        return
    what, *arguments = sys.argv[1:]
    try:
        print("GOT", short(globals()[what](*arguments)), flush=True)
    except MemoryError:
        print("NO MemoryError", flush=True)
    except OSError as e:
        print("NO", errno.errorcode.get(e.errno, e.errno), e, flush=True)


main()
