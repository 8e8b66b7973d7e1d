# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# The programs beside processes that are in the way or not as they should be: dead, replaced, in containers, with names that look
# like something else, with files on a file system that does not answer; and the server beside clients of that kind.
import argparse
import contextlib
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

programs = argparse.Namespace()
ROOT = os.geteuid() == 0
UNSHARE = (ROOT and shutil.which("unshare") is not None   # in a chroot it may be refused
           and subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0)


def run(*words, program=None, timeout=60, env=None):
    return subprocess.run([program or programs.tslab, *words], capture_output=True, timeout=timeout, text=True,
                          env={**os.environ, **(env or {})})


class Holder:
    def __init__(self, *words, before=(), env=None, execs=False):
        self.process = subprocess.Popen([*before, programs.holder, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, env={**os.environ, **(env or {})})
        self.pid = self.process.pid
        line = self.process.stdout.readline()
        self.child = int(line.split()[1]) if line.startswith(b"child ") else 0
        if (self.process.stdout.readline() if self.child else line) != b"ready\n":
            self.end()
            raise unittest.SkipTest(f"cannot start {[*before, *words]}")
        if before and not execs:   # what unshare forked
            with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
                self.pid = int(file.read().split()[0])

    def tell(self, sent):
        os.kill(self.pid, sent)

    def end(self):
        self.process.kill()
        self.process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def labels_of(text, metric):
    """The labels of every series of a metric, with its value."""
    found = []
    for line in text.splitlines():
        if line.startswith(metric + "{"):
            labels, value = line[len(metric) + 1:].rsplit("} ", 1)
            found.append((dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels)), float(value)))
    return found


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


class Identity(unittest.TestCase):
    def test_the_first_thread_has_ended(self):
        with Holder("service:17", "--leader-ends") as held:
            with open(f"/proc/{held.pid}/stat", encoding="ascii") as file:
                self.assertEqual(file.read().rsplit(") ", 1)[1][0], "Z")
            self.assertIn(held.pid, [json.loads(line)["pid"] for line in run("ps", "--json").stdout.splitlines()])
            snapshot = json.loads(run("stats", str(held.pid), "--json").stdout)
            self.assertEqual((snapshot["name"], snapshot["pid"], snapshot["live_objects"]), ("service", held.pid, 17))
            self.assertTrue(snapshot["live_known"])
            self.assertGreater(snapshot["rss_bytes_current"], 0)
            self.assertIn("waterfall", snapshot)
            self.assertTrue(json.loads(run("map", str(held.pid), "--json").stdout)["runs"])
            series = labels_of(run("export", "prometheus", "--all").stdout, "temporal_slab_live_objects")
            self.assertIn(({"pid": str(held.pid), "heap": "service"}, 17), series)

    def test_a_series_never_passes_to_another_heap(self):
        def live(held):
            return {labels["heap"]: value for labels, value in
                    labels_of(run("export", "prometheus", str(held.pid)).stdout, "temporal_slab_live_objects")}

        with Holder("orders:111", "orders:222", "orders:333") as held:
            first = live(held)
            self.assertEqual(first, {"orders": 111, "orders#2": 222, "orders#3": 333})
            self.assertIn('heap "orders#2"', run("stats", str(held.pid), "--heap", "orders#2").stdout)
            held.tell(signal.SIGUSR1)
            self.assertEqual(held.process.stdout.readline(), b"ended\n")
            self.assertEqual(live(held), {"orders#2": 222, "orders#3": 333})
            held.tell(signal.SIGUSR1)
            self.assertEqual(held.process.stdout.readline(), b"ended\n")
            self.assertEqual(live(held), {"orders#3": 333})

    def test_rates_are_of_the_heap_they_are_shown_for(self):
        with Holder("orders:111", "orders:222") as held:
            process = subprocess.Popen([programs.tslab, "watch", str(held.pid), "0.3", "2", "--json"], stdout=subprocess.PIPE)
            process.stdout.readline()
            held.tell(signal.SIGUSR1)
            rest = [json.loads(line) for line in process.communicate(timeout=30)[0].splitlines()]
            self.assertEqual([step["allocations_delta"] for step in rest], [0] * len(rest))

    @unittest.skipUnless(UNSHARE, "only root can make a namespace")
    def test_two_containers(self):
        inside = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
        with Holder("orders:111", before=inside) as a, Holder("orders:222", before=inside) as b:
            text = run("export", "prometheus", "--all").stdout
            live = [s for s in labels_of(text, "temporal_slab_live_objects") if s[0]["pid"] in (str(a.pid), str(b.pid))]
            self.assertEqual(live, [({"pid": str(h.pid), "heap": "orders"}, n) for h, n in
                                    sorted(((a, 111), (b, 222)), key=lambda one: one[0].pid)])
            resident = {labels.get("pid") for labels, _ in labels_of(text, "process_resident_memory_bytes")}
            self.assertLessEqual({str(a.pid), str(b.pid)}, resident)
            for held in (a, b):
                self.assertEqual(json.loads(run("stats", str(held.pid), "--json").stdout)["pid"], held.pid)

    def test_a_name_that_is_shown_is_a_target(self):
        for name in ("with space", "a/b", "/", "../x", "\x1b[2J", "-", "?x", "2147483646", "99999999999", "ümlaut", "fifteen.or.more"):
            with self.subTest(name=name), Holder("named", "--comm", name) as held:
                line = next(l for l in run("ps").stdout.splitlines() if l.split()[:1] == [str(held.pid)])
                shown = re.split(r" {2,}", line.strip())[-1]
                words = ["stats", "--json", "--"] if shown.startswith("-") else ["stats", "--json"]
                answer = run(*words, shown)
                self.assertEqual(answer.returncode, 0, answer.stderr)
                self.assertEqual(json.loads(answer.stdout)["pid"], held.pid)


    def test_a_name_that_is_nearly_one(self):
        with Holder("named", "--comm", "orders-service"):
            answer = run("stats", "order-service")
            self.assertEqual(answer.returncode, 3)
            self.assertEqual(answer.stderr, "tslab: no such process or file: order-service; did you mean orders-service?\n")

    def test_a_file_that_cannot_be_read(self):
        with tempfile.TemporaryDirectory() as folder:
            answer = run("stats", folder)
            self.assertEqual((answer.returncode, answer.stderr), (3, f"tslab: {folder} is a directory\n"))
            if ROOT:
                os.chmod(folder, 0o755)
                path = os.path.join(folder, "private.stats")
                with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii"):
                    pass
                program = shutil.copy(programs.tslab, folder)   # where the other user may run it
                os.chmod(program, 0o755)
                answer = subprocess.run([program, "stats", path], capture_output=True, timeout=60, text=True, check=False, user=65534, group=65534,
                                        extra_groups=[])
                self.assertEqual((answer.returncode, answer.stderr), (3, f"tslab: {path}: Permission denied\n"))

    def test_earlier_snapshots_of_another_process(self):
        with Holder("one") as one, Holder("two") as two, tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "before.json")
            with open(path, "w", encoding="utf-8") as file:
                file.write(run("stats", str(one.pid), "--json").stdout)
            self.assertIn(run("doctor", str(one.pid), "--before", path).returncode, (0, 1))
            answer = run("doctor", str(two.pid), "--before", path)
            self.assertEqual(answer.returncode, 2)
            self.assertIn("has no heap of this process", answer.stderr)

    def test_looking_opens_no_pipe(self):
        """A reader more would keep a writer from noticing that all of them went."""
        with tempfile.TemporaryDirectory() as folder:
            pipe = os.path.join(folder, "pipe")
            os.mkfifo(pipe)
            both = os.open(pipe, os.O_RDWR)
            trace = subprocess.run(["strace", "-f", "-e", "trace=openat", programs.tslab, "ps"], capture_output=True, text=True,
                                   timeout=60) if shutil.which("strace") else None
            os.close(both)
            if trace is None:
                self.skipTest("no strace")
            opened = [line for line in trace.stderr.splitlines() if f"/proc/{os.getpid()}/task/{os.getpid()}/fd/{both}\"" in line]
            self.assertEqual([line for line in opened if "O_PATH" not in line], [])


class Dead(unittest.TestCase):
    def one_line(self, answer, code, *parts):
        self.assertEqual(answer.returncode, code, answer.stderr)
        self.assertTrue(answer.stderr.startswith("tslab: ") and answer.stderr.count("\n") == 1, answer.stderr)
        for part in parts:
            self.assertIn(part, answer.stderr)

    def test_a_zombie(self):
        with Holder("dead") as held:
            held.tell(signal.SIGKILL)
            os.waitid(os.P_PID, held.pid, os.WEXITED | os.WNOWAIT)
            self.one_line(run("stats", str(held.pid)), 3, f"process {held.pid} has ended")
            self.assertNotIn(held.pid, [json.loads(line)["pid"] for line in run("ps", "--json").stdout.splitlines()])

    def test_watch_says_that_the_process_ended(self):
        with Holder("watched") as held:
            process = subprocess.Popen([programs.tslab, "watch", str(held.pid), "0.05"], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            process.stdout.readline()
            held.tell(signal.SIGKILL)
            _, error = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 3)
            self.assertIn(f"process {held.pid} has ended", error)

    def test_closed_streams_are_no_file_of_the_program(self):
        def without_streams():
            for stream in (0, 2):
                os.close(stream)

        with Holder("watched") as held:
            process = subprocess.Popen([programs.tslab, "watch", str(held.pid), "0.1"], stdout=subprocess.PIPE,
                                       preexec_fn=without_streams)
            process.stdout.readline()
            for stream in (0, 2):
                self.assertEqual(os.readlink(f"/proc/{process.pid}/fd/{stream}"), "/dev/null")
            process.stdout.close()
            process.wait(timeout=30)
        # Writing to a closed standard output is an error as before.
        answer = subprocess.run([programs.tslab, "--version"], stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1))
        self.assertNotEqual(answer.returncode, 0)
        self.assertIn(b"cannot write to standard output", answer.stderr)

    def test_a_process_that_runs_another_program(self):
        with Holder("replaced") as held:
            process = subprocess.Popen([programs.tslab, "watch", str(held.pid), "0.05"], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            process.stdout.readline()
            held.tell(signal.SIGUSR2)
            _, error = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 3)
            self.assertIn("it runs another program now", error)
            self.one_line(run("stats", str(held.pid)), 3, f"process {held.pid} has no heap")

    def test_a_stopped_process(self):
        with Holder("stopped:5", "--leader-ends") as held:
            held.tell(signal.SIGSTOP)
            self.assertEqual(json.loads(run("stats", str(held.pid), "--json").stdout)["live_objects"], 5)

    def test_the_number_of_a_thread(self):
        with Holder("threads", "--busy") as held:
            thread = next(t for t in os.listdir(f"/proc/{held.pid}/task") if int(t) != held.pid)
            self.one_line(run("stats", thread), 3, f"no process {thread}", f"a thread of process {held.pid}")

    def test_a_number_that_no_process_can_have(self):
        self.one_line(run("stats", "99999999999"), 3, "from 1 to 2147483647")

    def test_the_statistics_file_of_a_process(self):
        with tempfile.TemporaryDirectory() as folder:
            with Holder("filed:9", env={"TSLAB_STATS_FILE": os.path.join(folder, "of-%p")}) as held:
                self.assertEqual(json.loads(run("stats", str(held.pid), "--json").stdout)["live_objects"], 9)

    def test_states_in_which_a_process_is_read_like_any_other(self):
        with tempfile.TemporaryDirectory() as folder:
            for words in ([], ["--no-descriptors"], ["--no-memory"], ["--seccomp"], ["--child"],
                          *([["--chroot", folder]] if ROOT else [])):
                with self.subTest(words=words), Holder("held:23", *words) as held:
                    snapshot = json.loads(run("stats", str(held.pid), "--json").stdout)
                    self.assertEqual((snapshot["live_objects"], snapshot["live_known"]), (23, True))
                    self.assertIn(held.pid, [json.loads(line)["pid"] for line in run("ps", "--json").stdout.splitlines()])
                    if held.child:   # it shares the memory, and is not the process whose heap it is
                        self.one_line(run("stats", str(held.child)), 3, f"process {held.child} has no heap")

    @unittest.skipUnless(UNSHARE, "only root can make a namespace")
    def test_statistics_that_found_no_room(self):
        script = 'mount -t tmpfs -o size=16k none /mnt && exec "$0" "$@"'
        with Holder("full", before=("unshare", "-m", "sh", "-c", script), env={"TSLAB_STATS_FILE": "/mnt/full"},
                    execs=True) as held:
            self.one_line(run("stats", str(held.pid)), 3, f"process {held.pid} has no heap")

    @unittest.skipUnless(ROOT and os.path.exists("/dev/fuse"), "needs root and /dev/fuse")
    def test_an_open_file_on_a_file_system_that_does_not_answer(self):
        with Holder("beside") as held, hung_file() as user:
            process = subprocess.Popen([programs.tslab, "ps", "--json"], stdout=subprocess.PIPE, text=True)
            try:
                out, _ = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                self.fail("ps waits for a file system that does not answer")
            self.assertIn(held.pid, [json.loads(line)["pid"] for line in out.splitlines()])
            answer = run("stats", str(user))
            self.one_line(answer, 3, "no heap")


@contextlib.contextmanager
def hung_file():
    """A process with a file open for writing on a FUSE file system that answers until then, and never again. Yields its pid."""
    libc = ctypes.CDLL(None, use_errno=True)
    folder = tempfile.mkdtemp()
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
    if libc.mount(b"hung", folder.encode(), b"fuse", 6, options.encode()) != 0:
        os.close(device)
        os.rmdir(folder)
        raise unittest.SkipTest("no FUSE file system can be mounted")

    def attributes(node):
        mode = 0o40755 if node == 1 else 0o100644
        return struct.pack("<QQQQQQIIIIIIIIII", node, 0 if node == 1 else 1 << 20, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def serve():
        while True:
            try:
                message = os.read(device, 1 << 17)
            except OSError:
                return
            size, code, unique, node = struct.unpack_from("<IIQQ", message)
            body, error = b"", 0
            if code == 26:      # INIT
                body = struct.pack("<IIIIHHI", 7, 31, 0, 0, 0, 0, 4096) + bytes(40)
            elif code == 1:     # LOOKUP
                body = struct.pack("<QQQQII", 2, 0, 1000, 0, 0, 0) + attributes(2)
            elif code == 3:     # GETATTR
                body = struct.pack("<QII", 0, 0, 0) + attributes(node)
            elif code == 14:    # OPEN
                body = struct.pack("<QII", 1, 0, 0)
            elif code in (2, 36, 42):   # FORGET, INTERRUPT, BATCH_FORGET: not answered
                continue
            else:
                error = -38
            os.write(device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
            if code == 14:
                return

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    user = subprocess.Popen(["sh", "-c", f"exec 3<>{folder}/data; echo open; exec sleep 600"], stdout=subprocess.PIPE)
    try:
        if user.stdout.readline() != b"open\n":
            raise unittest.SkipTest("the file could not be opened")
        libc.umount2(folder.encode(), 2)   # only the descriptor is left of it
        yield user.pid
    finally:
        os.close(device)   # those that wait get an error
        user.kill()
        user.communicate()
        libc.umount2(folder.encode(), 2)
        os.rmdir(folder)


def is_open(connection):
    """Whether the other side has neither closed it nor said anything."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


class Server(unittest.TestCase):
    @contextlib.contextmanager
    def serving(self, *words):
        process = subprocess.Popen([programs.tslab, "serve", *words, "--port", "0"], stdout=subprocess.PIPE, text=True)
        try:
            yield int(re.search(r":(\d+)/$", process.stdout.readline().strip()).group(1))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)

    def get(self, port, path="/metrics"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def test_the_dead_are_not_reported_and_the_restarted_are(self):
        name = f"svc{os.getpid()}"
        with Holder("orders:77", "--comm", name) as first, self.serving(name) as port:
            status, text = self.get(port)
            self.assertEqual((status, labels_of(text, "temporal_slab_live_objects")), (200, [({"heap": "orders"}, 77)]))
            first.end()
            self.assertTrue(until(lambda: self.get(port)[0] == 503))
            self.assertIn("has ended", self.get(port)[1])
            self.assertEqual(self.get(port, "/healthz")[0], 503)
            with Holder("orders:78", "--comm", name):
                self.assertTrue(until(lambda: self.get(port)[0] == 200))
                self.assertEqual(labels_of(self.get(port)[1], "temporal_slab_live_objects"), [({"heap": "orders"}, 78)])

    def test_a_pid_is_one_process(self):
        name = f"one{os.getpid()}"
        with Holder("orders:77", "--comm", name) as first, self.serving(str(first.pid)) as port:
            first.end()
            with Holder("orders:78", "--comm", name):
                self.assertTrue(until(lambda: self.get(port)[0] == 503))
                time.sleep(1.5)
                self.assertEqual(self.get(port)[0], 503)

    def test_a_scrape_beside_600_connections_that_say_nothing(self):
        with Holder("orders:77") as held, self.serving(str(held.pid)) as port:
            for last in (False, False, True):   # on a machine that stands still for seconds they time out meanwhile
                idle = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(600)]
                for one in idle[::2]:
                    with contextlib.suppress(OSError):   # it may have lost its place already
                        one.send(b"GET / HTTP/1.1\r\nHo")
                self.assertEqual(self.get(port)[0], 200)
                still_open = sum(is_open(one) for one in idle)
                for one in idle:
                    one.close()
                if still_open:
                    break   # the answer did not wait until they had timed out
                self.assertFalse(last, "the scrape was answered when all others had timed out")


class OnlyProcess(unittest.TestCase):
    @unittest.skipUnless(UNSHARE, "only root can make a namespace")
    def test_without_a_target_the_only_process_is_taken(self):
        script = (f'sleep 600 | {programs.holder} alone:5 >&2 & for i in $(seq 300); do {programs.tslab} ps | grep -q pid && break; '
                  'sleep 0.1; done; "$@"')
        for words in ([programs.tslab, "export", "prometheus"], [programs.stats_dump, "--json"]):
            with self.subTest(words=words):
                answer = run("--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", script, "sh", *words,
                             program="unshare")
                self.assertEqual(answer.returncode, 0, answer.stderr)
                self.assertIn("alone", answer.stdout)
                none = run("--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", '"$@"', "sh", *words, program="unshare")
                self.assertEqual(none.returncode, 2, none.stderr)
                self.assertIn("no process of yours has a heap", none.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("tslab", "stats-dump", "holder"):
        parser.add_argument("--" + option, required=True)
    programs, others = parser.parse_known_args()
    unittest.main(argv=["hostile.py", *others])
