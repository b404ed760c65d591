"""What Redis answers to Debian's clients."""
import unittest

from machine import client, eventually, free_port, start, start_example

KEYS = 10_000


class Redis(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        start_example(cls, "redis", cls.port, "--enable-debug-command", "yes",
                      ready="Ready to accept connections")

    @classmethod
    def cli(cls, *words, data=None):
        return client("redis-cli", "-e", "-p", cls.port, *words, data=data).decode()

    def setUp(self):
        self.cli("flushall")

    def fill(self):
        """Sets the keys in one pipeline, and checks that each was acknowledged."""
        commands = "".join(f"SET key:{n} value-{n * n}\r\n" for n in range(KEYS))
        answer = self.cli("--pipe", data=commands.encode())
        self.assertIn(f"errors: 0, replies: {KEYS}", answer)

    def test_ten_thousand_keys(self):
        self.fill()
        self.assertEqual(self.cli("dbsize"), f"{KEYS}\n")
        commands = "".join(f"GET key:{n}\n" for n in range(KEYS))
        answers = self.cli(data=commands.encode()).splitlines()
        self.assertEqual(answers, [f"value-{n * n}" for n in range(KEYS)])

    def test_saved_database_is_read_again(self):
        self.fill()
        digest = self.cli("debug", "digest")
        self.assertEqual(self.cli("save"), "OK\n")
        # Drops everything and reads the file that SAVE's code wrote.
        self.assertEqual(self.cli("debug", "reload"), "OK\n")
        self.assertEqual(self.cli("dbsize"), f"{KEYS}\n")
        self.assertEqual(self.cli("debug", "digest"), digest)

    def test_background_save_says_that_it_cannot(self):
        with self.assertRaisesRegex(AssertionError, "redis-cli ended with 1"):
            self.cli("bgsave")
        # The answer comes over the network, the log by the console: either may be first.
        self.server.wait_for("Can't save in background: fork")

    def test_types(self):
        self.assertEqual(self.cli("rpush", "list", "a", "b", "c"), "3\n")
        self.assertEqual(self.cli("lrange", "list", "0", "-1"), "a\nb\nc\n")
        self.cli("hset", "hash", "one", "1", "two", "2")
        self.assertEqual(self.cli("hget", "hash", "two"), "2\n")
        self.cli("zadd", "sorted", "2", "two", "1", "one", "3", "three")
        self.assertEqual(self.cli("zrange", "sorted", "0", "-1", "withscores"),
                         "one\n1\ntwo\n2\nthree\n3\n")
        self.assertEqual(self.cli("set", "gone", "soon", "px", "50"), "OK\n")
        eventually(lambda: self.assertEqual(self.cli("exists", "gone"), "0\n"))

    def test_large_value(self):
        value = bytes(range(256)).hex().encode() * 10_000  # 5 MB
        self.assertEqual(self.cli("-x", "set", "large", data=value), "OK\n")
        self.assertEqual(client("redis-cli", "-p", self.port, "get", "large"), value + b"\n")

    def test_lua(self):
        script = """
            local sum = 0
            for n = 1, ARGV[1] do sum = sum + n; redis.call('RPUSH', KEYS[1], n) end
            return {sum, redis.call('LLEN', KEYS[1]), 'done'}"""
        self.assertEqual(self.cli("eval", script, "1", "numbers", "1000"),
                         "500500\n1000\ndone\n")

    def test_transaction(self):
        answer = self.cli(data=b"MULTI\nINCR n\nINCRBY n 41\nEXEC\n")
        self.assertEqual(answer, "OK\nQUEUED\nQUEUED\n1\n42\n")

    def test_configuration(self):
        self.assertEqual(self.cli("config", "set", "maxmemory", "64mb"), "OK\n")
        self.assertEqual(self.cli("config", "get", "maxmemory"), "maxmemory\n67108864\n")
        self.assertIn("os:Linux", self.cli("info", "server"))

    def test_publish_subscribe(self):
        subscriber = start(["redis-cli", "-p", self.port, "psubscribe", "news.*"], stdout=-1)
        try:
            for _ in range(3):  # the subscription's confirmation
                subscriber.stdout.readline()
            for n in range(20):
                self.assertEqual(self.cli("publish", f"news.{n}", f"message {n}"), "1\n")
            got = [subscriber.stdout.readline().decode() for _ in range(4 * 20)]
        finally:
            subscriber.kill()
            subscriber.wait()
            subscriber.stdout.close()
        expected = [["pmessage\n", "news.*\n", f"news.{n}\n", f"message {n}\n"]
                    for n in range(20)]
        self.assertEqual(got, sum(expected, []))

    def test_benchmark_of_debian(self):
        answer = client("redis-benchmark", "-p", self.port, "-c", "10", "-n", "5000", "-P", "4",
                        "-t", "set,get,lrange_100", "--csv").decode()
        self.assertEqual(len(answer.splitlines()), 5)
