"""Debian's iperf3 in a virtual machine, as server and as client, in both directions."""
import json
import re
import unittest

from machine import Machine, client, eventually, free_port, start


class Iperf3(unittest.TestCase):
    def as_server(self, *options):
        port = free_port()
        publish = ["-p", f"{port}:5201", "-p", f"{port}:5201/udp"]
        with Machine(*publish, "iperf3", "-s", "-1", "--forceflush") as server:
            server.wait_for("Server listening on 5201")
            report = client("iperf3", "-c", "127.0.0.1", "-p", port, "-t", "1", "-J", *options)
            self.assertEqual(server.wait(), 0)
        return json.loads(report)["end"]

    def check_stream(self, report, streams=1):
        self.assertEqual(len(report["streams"]), streams)
        sent, received = report["sum_sent"]["bytes"], report["sum_received"]["bytes"]
        self.assertGreater(received, 100_000)
        self.assertLessEqual(received, sent)

    def test_server_receives(self):
        self.check_stream(self.as_server())

    def test_server_sends(self):
        self.check_stream(self.as_server("-R"))

    def test_server_of_several_streams(self):
        self.check_stream(self.as_server("-P", "3"), streams=3)

    def test_server_of_datagrams(self):
        for direction in ([], ["-R"]):
            def attempt():
                # A machine that stands still for a moment loses what finds no room meanwhile.
                total = self.as_server("-u", "-b", "4M", "-l", "1400", *direction)["sum"]
                self.assertGreater(total["packets"], 100)
                self.assertLess(total["lost_percent"], 5)
            eventually(attempt)

    def test_client(self):
        for direction in ([], ["-R"]):
            port = free_port()
            server = start(["iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", port], stdout=-3)
            self.addCleanup(server.wait)
            self.addCleanup(server.kill)
            eventually(lambda: self.assertIn(f":{port:04X} ", open("/proc/net/tcp").read()))
            with Machine("iperf3", "-c", "10.0.2.2", "-p", port, "-t", "1", *direction) as vm:
                self.assertEqual(vm.wait(), 0)
                totals = re.findall(r"([\d.]+) ([MG])Bytes .*(sender|receiver)", vm.text())
            self.assertEqual([who for _, _, who in totals], ["sender", "receiver"])
            self.assertEqual(server.wait(60), 0)
