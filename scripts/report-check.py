"""Looks at pages in Chromium: report-check.py BROWSER PICTURE PAGE…

Each page has to load without a network, ask for nothing but itself, say nothing to the console, and show every curve and
picture with no text above another. PICTURE is where a picture of the first page goes; it may be empty.
"""

import base64
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# What is wrong with what is shown: a list of texts.
LOOK = """(() => {
    const wrong = [];
    const svgs = [...document.querySelectorAll('svg')];
    if (!svgs.length) wrong.push('no curves');
    if (document.documentElement.scrollWidth > window.innerWidth) wrong.push('wider than the window');
    for (const image of document.images) {
        const stretched = image.width / image.height / (image.naturalWidth / image.naturalHeight);
        if (!image.complete || !image.naturalWidth) wrong.push('a picture is not shown: ' + image.alt);
        else if (!(Math.abs(stretched - 1) < 0.02)) wrong.push('a picture is stretched: ' + image.alt);
    }
    for (const svg of svgs) {
        const around = svg.getBoundingClientRect(), name = svg.querySelector('title').textContent;
        if (around.width < 200 || around.height < 80) wrong.push('too small: ' + name);
        const texts = [...svg.querySelectorAll('text')].map(text => [text.getBoundingClientRect(), text.textContent]);
        for (const [box, text] of texts)
            if (box.left < around.left - 1 || box.right > around.right + 1 || box.top < around.top - 1 ||
                box.bottom > around.bottom + 1) wrong.push(`${name}: "${text}" is cut off`);
        for (let i = 0; i < texts.length; i++)
            for (let k = 0; k < i; k++) {
                const [a, b] = [texts[i][0], texts[k][0]];
                if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)
                    wrong.push(`${name}: "${texts[k][1]}" and "${texts[i][1]}" lie on each other`);
            }
        if (![...svg.querySelectorAll('path')].some(path => path.getAttribute('stroke-width') === '1.8' &&
            path.getTotalLength() > 20)) wrong.push('no curve: ' + name);
    }
    return wrong;
})()"""


class Browser:
    """Chromium without a window, spoken to by a pair of pipes (the DevTools protocol)."""

    def __init__(self, program, profile):
        (read, browser_writes), (browser_reads, write) = os.pipe(), os.pipe()
        command = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
            f"--user-data-dir={profile}", "--disable-background-networking", "--hide-scrollbars",
            "--no-first-run", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND", "about:blank",
        ]  # fmt: skip
        # The browser reads from 3 and writes to 4. Copies above both come first, so that neither is overwritten.
        high = [os.dup(fd) for fd in (browser_reads, browser_writes)]
        shell = ["bash", "-c", f'exec 3<&{high[0]} 4>&{high[1]} && exec "$@"', "browser", *command]
        self.process = subprocess.Popen(shell, pass_fds=high, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for fd in (browser_reads, browser_writes, *high):
            os.close(fd)
        self.read, self.write = read, write
        self.rest, self.number, self.session, self.events = b"", 0, None, []

    def next(self, seconds):
        """The next message; none where there is none in time."""
        end = time.monotonic() + seconds
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.read], [], [], max(0, end - time.monotonic()))
            if not ready:
                return None
            part = os.read(self.read, 1 << 16)
            if not part:
                sys.exit("the browser has ended")
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while (reply := self.next(60)) is not None:
            if reply.get("id") == self.number:
                if "error" in reply:
                    sys.exit(f"{method}: {reply['error']}")
                return reply["result"]
            self.events.append(reply)
        sys.exit(f"{method}: the browser does not answer")

    def attach(self):
        """Turns to the page that the browser begins with."""
        pages = [target for target in self.call("Target.getTargets")["targetInfos"] if target["type"] == "page"]
        self.session = self.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def wait_for(self, method):
        while not any(event.get("method") == method for event in self.events):
            if (event := self.next(60)) is None:
                sys.exit(f"{method} does not come")
            self.events.append(event)

    def open(self, address, width, height, scheme):
        self.events.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=address)
        self.wait_for("Page.loadEventFired")
        # What comes late would come soon.
        while (event := self.next(0.3)) is not None:
            self.events.append(event)

    def close(self):
        self.process.terminate()
        self.process.wait()


def complaints(events, address):
    """What the browser said, and what it asked for beside the page."""
    for event in events:
        what, values = event.get("method"), event.get("params", {})
        if what == "Runtime.consoleAPICalled":
            yield f"console.{values['type']}: {values['args']}"
        elif what == "Runtime.exceptionThrown":
            yield f"an exception: {values['exceptionDetails']['text']}"
        elif what == "Log.entryAdded":
            yield f"console: {values['entry']['level']}: {values['entry']['text']}"
        elif what == "Network.requestWillBeSent":
            url = values["request"]["url"]
            if url != address and not url.startswith("data:"):
                yield f"it asks for {url}"
        elif what == "Network.loadingFailed":
            yield f"something is not loaded: {values['errorText']}"


def main():
    program, picture, *pages = sys.argv[1:]
    wrong = 0
    # The browser leaves files that are still written to while it ends.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(program, profile)
        try:
            browser.attach()
            for page in pages:
                address = Path(page).resolve().as_uri()
                for width, scheme in ((1200, "dark"), (390, "light"), (1200, "light")):
                    browser.open(address, width, 1500, scheme)
                    shown = browser.call("Runtime.evaluate", expression=LOOK, returnByValue=True)
                    found = [*complaints(browser.events, address), *shown["result"]["value"]]
                    for text in found:
                        print(f"{page}, {width} pixels wide, {scheme}: {text}", file=sys.stderr)
                    wrong += len(found)
                if picture and page == pages[0]:
                    clip = {"x": 0, "y": 0, "width": 1200, "height": 1330, "scale": 0.75}
                    shot = browser.call("Page.captureScreenshot", format="png", clip=clip)
                    Path(picture).write_bytes(base64.b64decode(shot["data"]))
        finally:
            browser.close()
    if wrong:
        sys.exit(f"{wrong} things are wrong with pages in the browser")
    print(f"{len(pages)} pages, light and dark, wide and narrow: nothing said, nothing asked for, all shown")


main()
