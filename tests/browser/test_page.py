"""The status page as a person has it: Debian's Chromium, a real daemon, real kernels."""

from __future__ import annotations

import json
import re

import nbformat
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.page_scene import address, begin, open_page
from tests.frontends.kmux_process import Client, Daemon, until

pytestmark = pytest.mark.timeout(180)

SOON = 8_000
"""Milliseconds in which somebody who looks sees what happened, with some patience on top."""
PLOT = """
import matplotlib
matplotlib.use("module://matplotlib_inline.backend_inline")
import matplotlib.pyplot as plt
plt.plot([1, 3, 2]); plt.title("a plot"); plt.show()
"""
HOSTILE = """
from IPython.display import display
script = "<script>document.title = 'taken'</script><img src=x onerror=\\"document.title='taken'\\">"
print(script)
display({"text/html": script, "text/plain": script}, raw=True)
display({"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"}, raw=True)
display({"text/html": script}, raw=True)
display({"image/png": script}, raw=True)
print("\\x1b[31mred\\x1b[0m\\x1b]0;title\\x07\\x00\\x08\\n 50 %\\r100 %")
raise ValueError(script)
"""


@pytest.fixture
def url(daemon: Daemon) -> str:
    daemon.kmux("daemon", "start")
    return address(daemon)


def press_on(page: Page, name: str, key: str = "Enter") -> None:
    """Go to a button with the keyboard alone, and press it."""
    for _ in range(100):
        page.keyboard.press("Tab")
        label = page.evaluate(
            "document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"
        )
        if label == name:
            page.keyboard.press(key)
            return
    raise AssertionError(f"the keyboard does not lead to {name!r}")


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.innerText"))


# Getting in


def test_the_token_leaves_the_address_and_is_kept_for_the_tab(browser: Browser, url: str) -> None:
    with open_page(browser, url) as status:
        status.open()
        assert status.page.url == url.partition("?")[0]
        assert status.page.evaluate("history.length") <= 2
        status.page.reload()
        expect(status.page.locator("#connection")).to_have_text("Live")
        token = url.partition("token=")[2]
        assert token not in status.page.content()
        assert status.context.cookies() == []


def test_who_has_no_token_is_asked_for_it(browser: Browser, url: str) -> None:
    plain, _, token = url.partition("?token=")
    with open_page(browser, plain, checked=False) as status:
        status.page.goto(plain)
        box = status.page.get_by_label("Token")
        expect(box).to_be_focused()
        status.page.keyboard.type("wrong")
        status.page.keyboard.press("Enter")
        expect(status.page.get_by_role("alert")).to_have_text("This token is not the daemon's.")
        status.photograph("token")
        status.page.keyboard.type(token)
        status.page.keyboard.press("Enter")
        expect(status.page.locator("#connection")).to_have_text("Live")
        expect(box).to_be_hidden()
        assert status.elsewhere == []


def test_nothing_runs_says_how_to_begin(browser: Browser, url: str) -> None:
    with open_page(browser, url) as status:
        status.open()
        expect(status.page.get_by_role("heading", name="No kernel runs")).to_be_visible()
        expect(status.page.get_by_text("kmux new analysis")).to_be_visible()
        status.photograph("empty")


# What there is to see


def test_sessions_come_and_go_by_themselves(browser: Browser, daemon: Daemon, url: str) -> None:
    with open_page(browser, url) as status:
        status.open()
        daemon.kmux("new", "work")
        expect(status.session("work")).to_be_visible(timeout=SOON)
        expect(status.page.get_by_role("heading", name="No kernel runs")).to_be_hidden()
        daemon.kmux("new", "another")
        expect(status.session("another")).to_be_visible(timeout=SOON)
        assert status.names() == ["another", "work"]
        daemon.kmux("rename", "work", "a-new-name")
        expect(status.session("a-new-name")).to_be_visible(timeout=SOON)
        until(lambda: status.names() == ["a-new-name", "another"], "they are in order")
        daemon.kmux("stop", "another")
        expect(status.session("another")).to_have_count(0, timeout=SOON)
        announcer = status.page.locator("#announcer")
        expect(announcer).to_have_text("another has ended.", timeout=SOON)


def test_a_cell_that_runs_counts_and_shows_what_it_prints(
    browser: Browser, daemon: Daemon, url: str
) -> None:
    alice = begin(daemon, "work")
    bob = daemon.attach(daemon.kmux("attach", "work").strip())
    with open_page(browser, url) as status:
        work = status.open().session("work")
        loop = alice.start_loop()
        bob.execute("print('later')")
        bob.arrive()
        expect(work.locator(".status")).to_have_text("busy", timeout=SOON)
        expect(work.locator(".latest pre.stream")).to_have_text("begun\n", timeout=SOON)
        running, waiting = work.locator(".queue li").nth(0), work.locator(".queue li").nth(1)
        expect(running).to_contain_text("runs print('begun', flush=True) …")
        expect(running).to_contain_text(alice.session.session)
        expect(waiting).to_contain_text("waits print('later')")
        expect(work.locator(".clients li")).to_have_count(2)
        frames = len(status.frames)
        counts = {running.locator(".count").inner_text()}

        def counted() -> bool:
            counts.add(running.locator(".count").inner_text())
            return len(counts) >= 3

        until(counted, "the seconds are counted")
        assert all(re.fullmatch(r"\d+ s", count) for count in counts)
        only_loads = [{"now", "loads"} >= frame.keys() for frame in status.frames[frames + 1 :]]
        assert all(only_loads), "the page counts by itself"
        expect(work.locator(".load")).to_contain_text(re.compile(r"CPU \d\d+ % · \d+ MB"))
        assert "1 busy" in status.page.title()
        daemon.kmux("interrupt", "work")
        alice.finish(loop)
        expect(work.locator(".status")).to_have_text("idle", timeout=SOON)


def test_a_picture_shows(browser: Browser, daemon: Daemon, url: str) -> None:
    alice = begin(daemon, "work")
    alice.run(PLOT)
    with open_page(browser, url) as status:
        work = status.open().session("work")
        picture = work.get_by_role("img", name="<Figure size 640x480 with 1 Axes>")
        until(
            lambda: picture.evaluate("image => image.complete && image.naturalWidth") > 100,
            "the picture is there",
        )
        assert picture.get_attribute("src").startswith("blob:")  # type: ignore[union-attr]
        assert (
            status.page.evaluate("getComputedStyle(document.querySelector('figure')).height")
            == "240px"
        ), "there is room for it before it comes"


def test_what_a_kernel_shows_is_text_whatever_it_is(
    browser: Browser, daemon: Daemon, url: str
) -> None:
    alice = begin(daemon, "work")
    alice.run(HOSTILE)
    with open_page(browser, url) as status:
        work = status.open().session("work")
        expect(work.locator("pre.error")).to_contain_text("ValueError: <script>")
        outputs = work.locator(".latest .outputs")
        expect(outputs.locator("pre.stream").first).to_contain_text("<script>document.title")
        expect(outputs.locator("pre.stream").last).to_have_text("red\n100 %\n")
        expect(outputs.locator("pre.text")).to_contain_text("onerror=")
        expect(
            outputs.get_by_text(re.compile("^image/svg.xml, .*: not shown here$"))
        ).to_be_visible()
        expect(outputs.get_by_text(re.compile("^image/png, .*: not shown here$"))).to_be_visible()
        assert outputs.locator("script, svg, iframe, img, b").count() == 0
        assert status.page.title() == "kmux"


def test_what_is_read_stays_where_it_is_while_things_change(
    browser: Browser, daemon: Daemon, url: str
) -> None:
    alice = begin(daemon, "work")
    with open_page(browser, url) as status:
        work = status.open().session("work")
        work.get_by_text("Ways to attach").click()
        copy = work.get_by_role("button", name="Copy: A console in this terminal")
        copy.focus()
        text = "for i in range(200): print('line', i)"
        alice.run(text)
        output = work.locator(".latest pre.stream")
        expect(output).to_contain_text("line 199", timeout=SOON)
        assert output.evaluate("e => e.scrollTop + e.clientHeight >= e.scrollHeight - 1"), (
            "the end is what is seen"
        )
        daemon.kmux("new", "another")
        expect(status.session("another")).to_be_visible(timeout=SOON)
        expect(copy).to_be_focused()
        expect(work.locator(".attach")).to_have_attribute("open", "")


# What may be done


def test_by_the_keyboard_alone(browser: Browser, daemon: Daemon, url: str) -> None:
    alice = begin(daemon, "work")
    begin(daemon, "zoo")
    loop = alice.start_loop()
    with open_page(browser, url) as status:
        page, work = status.page, status.open().session("work")
        expect(work.locator(".status")).to_have_text("busy")
        press_on(page, "Interrupt work")
        assert alice.finish(loop)["ename"] == "KeyboardInterrupt"
        expect(work.locator(".status")).to_have_text("idle", timeout=SOON)
        expect(work.locator(".note")).to_have_text("Interrupted.")

        alice.run("x = 1")
        before = daemon.json("ps")[0]["pid"]
        press_on(page, "Restart work", "Space")
        dialog = page.get_by_role("dialog", name="Restart work?")
        expect(dialog).to_have_accessible_description(re.compile("Its variables are gone"))
        expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
        expect(work.get_by_role("button", name="Restart work")).to_be_focused()
        assert daemon.json("ps")[0]["pid"] == before
        page.keyboard.press("Enter")
        press_on(page, "Restart work")
        until(lambda: daemon.json("ps")[0]["pid"] not in (None, before), "another kernel")
        expect(work.locator(".facts")).to_contain_text(
            f"process {daemon.json('ps')[0]['pid']}", timeout=SOON
        )
        assert alice.run("x")["ename"] == "NameError"

        press_on(page, "Stop work")
        press_on(page.get_by_role("dialog").page, "Stop work")
        expect(work).to_have_count(0)
        assert [session["name"] for session in daemon.json("ps")] == ["zoo"]
        assert focused(page) == "zoo", "where the one was that is gone"


def test_a_question_about_a_session_that_ends_meanwhile_is_taken_back(
    browser: Browser, daemon: Daemon, url: str
) -> None:
    begin(daemon, "work")
    with open_page(browser, url) as status:
        status.open().session("work").get_by_role("button", name="Stop work").click()
        expect(status.page.get_by_role("dialog")).to_be_visible()
        daemon.kmux("stop", "work")
        expect(status.page.get_by_role("dialog")).to_be_hidden(timeout=SOON)


def test_a_session_is_downloaded_as_a_notebook(browser: Browser, daemon: Daemon, url: str) -> None:
    begin(daemon, "work").run("print('hello')")
    with open_page(browser, url) as status:
        button = status.open().session("work").get_by_role("button", name="Download as notebook")
        with status.page.expect_download() as download:
            button.click()
        assert download.value.suggested_filename == "work.ipynb"
        notebook = nbformat.read(download.value.path(), as_version=4)
        assert [cell.source for cell in notebook.cells] == ["print('hello')"]


def test_the_ways_to_attach_can_be_copied(browser: Browser, daemon: Daemon, url: str) -> None:
    begin(daemon, "work")
    place = daemon.json("web")
    wanted = [
        "kmux console work",
        daemon.json("ps")[0]["connection_file"],
        "kmux attach work",
        "kmux kernelspec install --attach work --user",
        f"jupyter lab --gateway-url={place['url'][:-1]}"
        f" --GatewayClient.auth_token={place['token']}",
        daemon.json("ps")[0]["record_url"],
        daemon.json("ps")[0]["document"],
    ]
    options = {"permissions": ["clipboard-read", "clipboard-write"]}
    with open_page(browser, url, **options) as status:
        work = status.open().session("work")
        work.get_by_text("Ways to attach").click()
        expect(work.get_by_role("button", name=re.compile("^Copy"))).to_have_count(len(wanted))
        copied = []
        for button in work.get_by_role("button", name=re.compile("^Copy")).all():
            button.click()
            expect(button).to_have_text("Copied")
            copied.append(status.page.evaluate("navigator.clipboard.readText()"))
        assert copied == wanted
        shown = work.locator(".attach").inner_text()
        assert place["token"] not in shown, "somebody may look over the shoulder"


def test_who_may_only_look_has_no_buttons(browser: Browser, daemon: Daemon, url: str) -> None:
    begin(daemon, "work").run("print('hello')")
    with open_page(browser, address(daemon, "--read-only")) as status:
        work = status.open().session("work")
        expect(status.page.locator("#connection")).to_have_text("Live, to look at only")
        expect(work.locator(".latest pre.stream")).to_have_text("hello\n")
        assert work.get_by_role("button", name=re.compile("Interrupt|Restart|Stop")).count() == 0


# When things go wrong


def test_a_daemon_that_is_away_is_told_and_found_again(
    browser: Browser, daemon: Daemon, url: str
) -> None:
    alice = begin(daemon, "work")
    with open_page(browser, url, checked=False) as status:
        work = status.open().session("work")
        daemon.kmux("daemon", "stop")
        connection = status.page.locator("#connection")
        expect(connection).to_have_text("The daemon is away. Trying again…", timeout=SOON)
        expect(work).to_be_visible()
        work.get_by_role("button", name="Interrupt work").click()
        expect(work.locator(".note")).to_have_text("The daemon is away.")
        status.photograph("away")
        daemon.kmux("daemon", "start")
        expect(connection).to_have_text("Live")
        alice.run("print('again')")
        expect(work.locator(".latest pre.stream")).to_have_text("again\n", timeout=SOON)
        expect(status.page.locator("#announcer")).to_have_text(re.compile("The daemon is back"))


def test_a_kernel_that_dies_is_told(browser: Browser, daemon: Daemon, url: str) -> None:
    alice = begin(daemon, "work", "--restart", "refuse")
    with open_page(browser, url) as status:
        work = status.open().session("work")
        before = work.locator(".facts").inner_text()
        alice.execute("import os; os._exit(1)")
        expect(work.locator(".facts")).not_to_have_text(before, timeout=10_000)
        expect(work.locator(".latest .end")).to_contain_text("lost")


# How it looks, and reads


@pytest.fixture
def busy_day(daemon: Daemon, url: str) -> Client:
    """A picture, an error, a progress bar, and cells that wait. The last one runs on."""
    begin(daemon, "analysis").run(PLOT)
    begin(daemon, "scratch").run("1/0")
    alice = begin(daemon, "training")
    loop = """
import sys, time
for epoch in range(1, 101):
    print("epoch", epoch, "loss", round(2 / (epoch + 1), 4))
    print(f"\\r{epoch} % done", end="", file=sys.stderr)
while True: time.sleep(0.1)
"""
    alice.execute(loop)
    bob = daemon.attach(daemon.kmux("attach", "training").strip())
    bob.execute("model.score(test)")
    bob.arrive()
    return alice


CONTRAST = """
() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = color.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = rgb(getComputedStyle(each).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!says || !element.checkVisibility()) continue;
    const pair = [light(rgb(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < 4.5) poor.push(`${element.className || element.tagName} ${contrast}`);
  }
  return poor;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_readable(
    browser: Browser, url: str, busy_day: Client, scheme: str
) -> None:
    with open_page(browser, url, color_scheme=scheme, reduced_motion="reduce") as status:
        training = status.open().session("training")
        expect(training.locator("pre.stderr")).to_have_text("100 % done")
        expect(training.locator("pre.stdout")).to_contain_text("epoch 100 loss 0.0198")
        expect(training.locator(".load")).to_contain_text(re.compile(r"CPU \d+ %"))
        image = status.session("analysis").locator("img")
        until(lambda: image.evaluate("image => image.naturalWidth"), "the picture is there")
        ground = status.page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(part) for part in re.findall(r"\d+", ground)) / 3
        assert (brightness > 200) == (scheme == "light")
        assert status.page.evaluate(CONTRAST) == []
        animation = training.locator(".sign").evaluate("e => getComputedStyle(e).animationName")
        assert animation == "none"
        status.photograph(scheme)
        training.get_by_role("button", name="Stop training").click()
        assert status.page.evaluate(CONTRAST) == []
        status.photograph(f"{scheme}-question")


def test_it_fits_on_a_narrow_screen(browser: Browser, url: str, busy_day: Client) -> None:
    with open_page(browser, url, viewport={"width": 320, "height": 640}) as status:
        training = status.open().session("training")
        expect(training.locator("pre.stdout")).to_contain_text("epoch 100")
        training.get_by_text("Ways to attach").click()
        assert status.page.evaluate("document.documentElement.scrollWidth") <= 320
        too_small = status.page.evaluate(
            "[...document.querySelectorAll('button, summary')].filter((e) => e.checkVisibility()"
            " && e.getBoundingClientRect().height < 24).map((e) => e.innerText)"
        )
        assert too_small == []
        status.photograph("narrow")


def test_a_screen_reader_finds_its_way(browser: Browser, url: str, busy_day: Client) -> None:
    with open_page(browser, url) as status:
        status.open()
        expect(status.session("training").locator("pre.stdout")).to_contain_text("epoch 100")
        expect(status.page.locator("body")).to_match_aria_snapshot("""
- banner:
  - heading "kmux" [level=1]
  - paragraph: 3 sessions, 1 busy
  - paragraph: Live
- main "kmux":
  - list "Sessions":
    - listitem:
      - article "analysis":
        - heading "analysis" [level=2]
        - paragraph: idle
        - paragraph: /CPU .* MB/
        - group "What to do with analysis":
          - button "Interrupt analysis"
          - button "Restart analysis"
          - button "Stop analysis"
        - paragraph: /python3 · kernelspec · process \\d+ · since .*/
        - heading "Clients" [level=3]
        - list:
          - listitem: /shared .* since .*/
        - heading "Latest cell" [level=3]
        - text: "[1]"
        - code: /import matplotlib/
        - text: /\\d s/
        - figure:
          - img "<Figure size 640x480 with 1 Axes>"
    - listitem:
      - article "scratch":
        - group "Error": /ZeroDivisionError/
    - listitem:
      - article "training":
        - heading "training" [level=2]
        - paragraph: busy
        - heading "Cells at work" [level=3]
        - list:
          - listitem:
            - text: runs
            - code: import sys, time …
            - time: /\\d+ s/
          - listitem:
            - text: waits
            - code: model.score(test)
- contentinfo:
  - paragraph: /kmux .* · process \\d+ · log .*/
""")
        said = status.page.locator("#announcer").inner_text()
        assert said == "", "what was there before is not announced"


def test_who_looks_away_is_told_nothing_more(browser: Browser, daemon: Daemon, url: str) -> None:
    """A tab behind another one does without its WebSocket, after a while."""
    alice = begin(daemon, "work")
    with open_page(browser, url) as status:
        work = status.open().session("work")
        hide = (
            "(hidden) => { Object.defineProperty(document, 'hidden', {value: hidden,"
            " configurable: true}); document.dispatchEvent(new Event('visibilitychange')); }"
        )
        closed: list[str] = []
        status.page.on("websocket", lambda socket: closed.append(json.dumps(socket.url)))
        status.page.clock.install()
        status.page.evaluate(hide, True)
        status.page.clock.fast_forward(11_000)
        alice.run("print('unseen')")
        status.page.evaluate(hide, False)
        expect(work.locator(".latest pre.stream")).to_have_text("unseen\n", timeout=SOON)
        assert len(closed) == 1, "it was opened again"
