"""In the VM: a thread on each CPU echoes what comes to its port, 5000 + CPU, until the client says
that it was the last."""
import os
import socket
import threading


def serve(cpu, listener):
    os.sched_setaffinity(0, {cpu})
    while True:
        with listener.accept()[0] as connection:
            first = connection.recv(1)
            if first == b"q":
                return
            while data := connection.recv(65536):
                connection.sendall(data)


listeners = [socket.create_server(("", 5000 + cpu)) for cpu in range(os.cpu_count())]
threads = [threading.Thread(target=serve, args=pair) for pair in enumerate(listeners)]
for thread in threads:
    thread.start()
print("ready", flush=True)
for thread in threads:
    thread.join()
