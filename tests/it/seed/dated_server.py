"""Answers over TLS that it is a certain time: `dated_server.py CERTIFICATE KEY DATE`; prints its port."""

import http.server
import ssl
import sys

certificate, key, date = sys.argv[1:]


class Dated(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(401)
        self.end_headers()

    def date_time_string(self, timestamp=None):
        return date

    def log_message(self, *arguments):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Dated)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
