"""Opens a page in headless Chromium, over the DevTools protocol through a pipe: no port, nothing but Python's own library.

Usage: browser.py CHROMIUM PROFILE URL <JOB >RESULT

JOB is JSON. `now`, in seconds since 1970, is what the page's clock shows; without it the page has the machine's. `steps`
are done in their order once the page has loaded, each an object with one key:
  view      {width, isDark}: how large the window is, and what its owner likes
  evaluate  JavaScript
  picture   {file, selector, length}: a screenshot, of all of the page without a selector, of its upper part with a length
RESULT is JSON: the `values` of what was evaluated, all `requests`, and all `complaints`: messages of the console,
uncaught exceptions, dialogs.
"""

import base64
import fcntl
import json
import os
import signal
import subprocess
import sys

# Longer than any machine needs; a browser that hangs must not hang the tests.
PATIENCE = 300
OPTIONS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-breakpad",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
]


class Browser:
    """A browser of its own, and the page in it."""

    def __init__(self, chromium, profile):
        # Chromium reads commands at 3 and writes answers at 4; ours must not lie there before.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for pipe in (os.pipe(), os.pipe()) for end in pipe]
        commands, self.commands, self.answers, answers = ends

        def place():
            os.dup2(commands, 3)
            os.dup2(answers, 4)

        self.process = subprocess.Popen(
            [chromium, *OPTIONS, f"--user-data-dir={profile}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            pass_fds=(3, 4), preexec_fn=place, start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        self.rest, self.number, self.session = b"", 0, None
        self.requests, self.complaints, self.events = [], [], set()

    def read(self):
        """Returns the next message of the browser."""
        while b"\0" not in self.rest:
            piece = os.read(self.answers, 1 << 16)
            if not piece:
                raise SystemExit("the browser ended: " + self.process.stderr.read().decode(errors="replace"))
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def take(self, message):
        """Remembers an event."""
        method, params = message.get("method"), message.get("params", {})
        self.events.add(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(params)
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(params)
            self.send("Page.handleJavaScriptDialog", {"accept": True})

    def send(self, method, params=None):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params or {}}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.commands, data):]
        return self.number

    def call(self, method, **params):
        """Sends a command and returns its result; events on the way are remembered."""
        number = self.send(method, params)
        while True:
            message = self.read()
            if message.get("id") != number:
                self.take(message)
            elif "error" in message:
                raise SystemExit(f"{method}: {message['error']}")
            else:
                return message["result"]

    def open(self, url, now):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")
        if now is not None:
            self.call("Page.addScriptToEvaluateOnNewDocument", source=f"Date.now = () => {now} * 1000")
        self.events.clear()
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise SystemExit(f"{url}: {answer['errorText']}")
        while "Page.loadEventFired" not in self.events:
            self.take(self.read())

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def view(self, width, isDark=False):
        scheme = {"name": "prefers-color-scheme", "value": "dark" if isDark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def picture(self, file, selector=":root", length=None):
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y, width, height = self.evaluate(f"(b => [b.x + scrollX, b.y + scrollY, b.width, b.height])({box})")
        pad = 0 if selector == ":root" else 16
        clip = {"x": max(0, x - pad), "y": max(0, y - pad), "width": width + 2 * pad, "scale": 1}
        clip["height"] = min(height + 2 * pad, length or height + 2 * pad)
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        with open(file, "wb") as output:
            output.write(base64.b64decode(answer["data"]))

    def close(self):
        """Lets it end by itself, or ends it: it is the leader of its own group."""
        try:
            self.session = None
            self.send("Browser.close")
            self.process.wait(timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


def main():
    chromium, profile, url = sys.argv[1:]
    job = json.load(sys.stdin)
    signal.alarm(PATIENCE)
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("the browser takes too long"))
    browser = Browser(chromium, profile)
    try:
        browser.open(url, job.get("now"))
        values = []
        for step in job["steps"]:
            match step:
                case {"view": view}:
                    browser.view(**view)
                case {"evaluate": expression}:
                    values.append(browser.evaluate(expression))
                case {"picture": picture}:
                    browser.picture(**picture)
        json.dump({"values": values, "requests": browser.requests, "complaints": browser.complaints}, sys.stdout)
    finally:
        browser.close()


main()
