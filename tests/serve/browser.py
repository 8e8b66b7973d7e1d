# SPDX-FileCopyrightText: 2026 The tslab authors
# SPDX-License-Identifier: Apache-2.0
#
# The page in a real browser: it loads, its series move, a leak turns red, labels stay text, a target that is gone is said
# to be; the console stays empty and no other host is asked. Then the report of a recording, from a file, offline.
# Exit 77: there is no browser here. With --screenshots DIR it keeps pictures.
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
except ImportError:
    print("skipped: no Selenium here")
    sys.exit(77)


def browser(profile, dark=False, size=(1280, 1000)):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
                 f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}"):
        options.add_argument(flag)
    if dark:
        options.add_argument("--force-dark-mode")
        options.add_argument("--blink-settings=preferredColorScheme=0")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)


def until(what, condition, seconds=60):   # a loaded machine takes its time
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"did not happen within {seconds} s: {what}")


def requests(driver):
    """Addresses that were asked for, other than the browser's own pages."""
    seen = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            address = message["params"]["request"]["url"]
            if not address.startswith(("chrome:", "chrome-untrusted:", "devtools:")):
                seen.append(address)
    return seen


def quiet_console(driver):
    wrong = {e["message"] for e in driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")}
    assert not wrong, f"the console says: {wrong}"


def samples(driver):
    return int(driver.execute_script("return document.documentElement.dataset.samples || 0"))


def whole_page(driver, path, width=1280):
    height = driver.execute_script("return document.documentElement.scrollHeight")
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {
        "format": "png", "captureBeyondViewport": True,
        "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}})
    import base64
    pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))


def text_of(driver, selector):
    """In one step: panels are drawn anew while we look."""
    return driver.execute_script("const e = document.querySelector(arguments[0]); return e ? e.innerText : ''", selector)


def part_of_page(driver, selector, path):
    driver.find_element(By.CSS_SELECTOR, selector).screenshot(str(path))


def rows_of_costs(driver):
    """What the table of costs shows, cell by cell."""
    return driver.execute_script(
        "return [...document.querySelectorAll('#costs tbody tr')].map(r => [...r.children].map(c => c.innerText.trim()))")


def costs_are_shown(driver):
    """What the demo's phases cost: a row for each kind that has ended, with the place of its largest one."""
    rows = {row[0]: row[1:] for row in rows_of_costs(driver)}
    assert {"GET /orders", "GET /users", "POST /cart", "search"} <= rows.keys(), rows.keys()
    assert "session cache" not in rows, "a phase that goes on has no cost yet"
    for name, (phases, _, *amounts, place) in rows.items():
        assert phases not in ("", "0", "–"), f"{name}: {phases} phases"
        assert len(amounts) == 9 and all(amounts), f"{name}: {amounts}"
        assert place.startswith("demo_source.hpp:"), f"{name}: the largest was entered at {place}"
    bars = driver.find_elements(By.CSS_SELECTOR, "#costs td.range svg")
    assert len(bars) == len(rows), f"{len(bars)} bars for {len(rows)} labels"
    assert driver.find_elements(By.CSS_SELECTOR, "#cost-rate canvas"), "the bytes a second are not drawn"
    shown = driver.execute_script("return [...document.querySelectorAll('#cost-rate-legend li')].map(e => e.innerText)")
    assert any("search" in one for one in shown), f"bytes a second are of {shown}"


def every_panel_is_drawn(driver):
    for panel in ("memory", "slow", "contention"):
        assert driver.find_elements(By.CSS_SELECTOR, f"#{panel} canvas"), f"{panel} is not drawn"
        assert driver.find_elements(By.CSS_SELECTOR, f"#{panel}-legend li"), f"{panel} has no legend"
    for selector in ("#waterfall tr", "#timeline g.bar", "#latency .columns div", "#map canvas", "#findings li",
                     "#tiles dd"):
        assert driver.find_elements(By.CSS_SELECTOR, selector), f"nothing at {selector}"
    assert "cannot be shown" not in text_of(driver, "main")
    wide = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"the page is {wide} pixels too wide"


def label(arguments):
    """What the forgotten epoch is called."""
    return "upload" if arguments.screenshots else "<script>alert(1)</script>"


def page(arguments, folder, say, url):
    driver = browser(folder / "profile")
    try:
        driver.get(url)
        until("three samples", lambda: samples(driver) >= 3)
        every_panel_is_drawn(driver)
        before, shown = text_of(driver, "#memory-legend"), samples(driver)
        until("phases of every kind have ended", lambda: len(rows_of_costs(driver)) >= 4)
        until("their bytes a second are drawn", lambda: driver.find_elements(By.CSS_SELECTOR, "#cost-rate-legend li"))
        costs_are_shown(driver)
        until("the series move", lambda: samples(driver) > shown and text_of(driver, "#memory-legend") != before)

        assert text_of(driver, "#tiles div:last-child dd") == "0"
        assert not driver.find_elements(By.CSS_SELECTOR, "#timeline g.leaked")
        say("leak " + label(arguments))
        until("the leak is red", lambda: driver.find_elements(By.CSS_SELECTOR, "#timeline g.leaked"))
        red = driver.execute_script("return tslab.color('bad')")
        fill = driver.execute_script("return document.querySelector('#timeline g.leaked rect').getAttribute('fill')")
        assert fill == red, f"the leak is {fill}, not {red}"
        assert label(arguments) in text_of(driver, "#leaks"), "a label is shown as it is"
        assert not driver.execute_script("return document.querySelector('main script')"), "a label became an element"

        for chosen in ("[data-memory=held_bytes]", "[data-map=label]", "[data-map=fill]", "[data-memory=live_bytes]"):
            driver.find_element(By.CSS_SELECTOR, f"button{chosen}").click()
        driver.execute_script("document.querySelector('#timeline g.leaked').focus()")
        assert "should be gone" in text_of(driver, "#timeline .detail")
        every_panel_is_drawn(driver)
        # A drag shows a part of the time, which stays while samples come; a double click shows all of it again.
        ticks = "return [...document.querySelectorAll('#slow .dygraph-axis-label-x')].map(e => e.innerText).join()"
        canvas = driver.find_elements(By.CSS_SELECTOR, "#slow canvas")[-1]
        ActionChains(driver).move_to_element(canvas).click_and_hold().move_by_offset(120, 0).release().perform()
        part, shown = driver.execute_script(ticks), samples(driver)
        until("two more samples", lambda: samples(driver) >= shown + 2)
        assert driver.execute_script(ticks) == part, "the part that is shown moved"
        ActionChains(driver).double_click(canvas).perform()
        until("all of the time", lambda: driver.execute_script(ticks) != part)
        if arguments.screenshots:
            until("enough samples for a picture", lambda: samples(driver) >= 60, 120)
            driver.find_element(By.CSS_SELECTOR, "button[data-map=label]").click()
            whole_page(driver, folder / "page.png")
            part_of_page(driver, "section[aria-labelledby=h-costs]", folder / "costs.png")

        say("gone")
        until("the page says so", lambda: "process 4711 has ended" in text_of(driver, "#notice"))
        assert samples(driver) > shown, "what was seen stays"
        if arguments.screenshots:
            whole_page(driver, folder / "gone.png")
        say("back")
        until("the page goes on", lambda: not driver.find_element(By.ID, "notice").is_displayed())

        driver.set_window_size(500, 900)
        time.sleep(0.5)
        every_panel_is_drawn(driver)
        if arguments.screenshots:
            whole_page(driver, folder / "small.png", driver.execute_script("return window.innerWidth"))
        quiet_console(driver)
        foreign = [r for r in requests(driver) if not r.startswith((url, "data:"))]
        assert not foreign, f"other hosts were asked: {foreign}"

        driver.get(url + "licenses")
        assert "Vanderkam" in text_of(driver, "body")
    finally:
        driver.quit()
    if arguments.screenshots:
        driver = browser(folder / "dark", dark=True)
        try:
            driver.get(url)
            until("samples", lambda: samples(driver) >= 3)
            whole_page(driver, folder / "dark.png")
        finally:
            driver.quit()


def report(arguments, folder):
    recording, html = folder / "recording.tslab", folder / "report.html"
    subprocess.run([arguments.demo, "record", recording, "60" if arguments.screenshots else "12",
                    label(arguments)], check=True, timeout=60)
    with recording.open("a") as file:
        file.write('{"snapshots":[{"schema_version":1,')   # the disk was full here
    done = subprocess.run([arguments.tslab, "report", recording, "--out", html, "--leak-after", "1",
                           "--long-lived", "session cache", "--long-lived", "catalogue"], check=True,
                          capture_output=True, text=True, timeout=60)
    assert "1 line was cut short" in done.stdout, done.stdout
    driver = browser(folder / "profile2")
    try:
        driver.get(html.as_uri())
        until("the report is drawn", lambda: samples(driver) >= 12)
        every_panel_is_drawn(driver)
        assert "1 line was cut short" in text_of(driver, "#notice")
        assert driver.find_elements(By.CSS_SELECTOR, "#timeline g.leaked"), "the leak is red in the report"
        assert label(arguments) in text_of(driver, "#leaks")
        assert rows_of_costs(driver), "the report does not say what phases cost"
        if arguments.screenshots:
            whole_page(driver, folder / "report.png")
        driver.find_element(By.CSS_SELECTOR, "footer summary").click()
        assert "Vanderkam" in text_of(driver, "footer pre")
        quiet_console(driver)
        foreign = [r for r in requests(driver) if not r.startswith(("file:", "data:"))]
        assert not foreign, f"the report asked for {foreign}"
    finally:
        driver.quit()


FUNCTIONS = """
const heaps = [{name: ''}, {name: 'a'}, {name: ''}, {name: 'a'}];
tslab.toldApart(heaps);
const at = (t, pid, n) => ({t, heap: {pid, counters: {n}}});
const rows = tslab.rates([at(0, 1, 10), at(2000, 1, 30), at(3000, 2, 5), at(3000, 2, 6), at(4000, 2, 9)], [c => c.n]);
const read = (t, monotonic_ms, boot_id, n) => ({t, heap: {pid: 1, monotonic_ms, boot_id, counters: {n}}});
// The clock on the wall is set back, then forward; then the machine is another one.
const set = tslab.rates([read(5000, 1000, 'a', 10), read(1000, 3000, 'a', 30), read(9e9, 4000, 'a', 35), read(9e9 + 2000, 1, 'b', 45)], [c => c.n]);
const epoch = (label, open, end, leaked) => ({label, open, end, leaked});
const {rows: lanes, hidden} = tslab.timelineRows(
  [epoch('a', 0, 10, false), epoch('a', 5, 20, false), epoch('a', 11, 30, false), epoch('b', 0, 99, true),
   ...Array.from({length: 12}, () => epoch('c', 0, 99, false))], 0);
return {
  heaps: heaps.map(h => h.name), rates: rows.map(r => r[1]), set: set.map(r => r[1]), lanes: lanes.map(l => [l.name, l.leaked, l.bars.length]), hidden,
  bytes: [0, 1023, 1024, 1536, -2048, 5e12].map(tslab.bytes), times: [0, 999, 1000, 2.5e6, 3e9].map(tslab.nanoseconds),
};
"""


COSTS = """
const sample = (t, pid, ...costs) => ({t, heap: {pid, phase_costs: costs.map(([label, bytes_sum]) => ({label, bytes_sum}))}});
// A label that comes later, a restart, and a label of which nothing was allocated.
const series = tslab.costSeries([sample(0, 1, ['a', 100], ['idle', 0]), sample(2000, 1, ['a', 300], ['b', 50], ['idle', 0]),
  sample(3000, 2, ['a', 10]), sample(4000, 2, ['a', 30])]);
const cost = (label, bytes_sum, bytes_p50, bytes_p99, bytes_max, largest_at) => ({label, phases: 1234, bytes_sum, bytes_p50, bytes_p99, bytes_max,
  peak_bytes_p99: 512, objects_p50: 10, objects_p99: 20, wall_ns_p50: 1000, wall_ns_p99: 2.5e6, wall_ns_max: 3e9, largest_at, largest_ms: 0});
const many = Array.from({length: tslab.mostCostRows + 1}, (_, n) => cost('label ' + n, n, 1, 2, 3, ''));
tslab.drawCosts({phase_costs: many, phase_labels_omitted: 2});
const left = document.querySelector('#costs .detail').innerText, shown = document.querySelectorAll('#costs tbody tr').length;
tslab.drawCosts({phase_costs: []});
const none = document.querySelector('#costs').innerText;
tslab.drawCosts({phase_costs: [cost('small', 1, 1024, 2048, 4096, 'shop.cpp:7'), cost('nothing', 0, 0, 0, 0, ''),
  cost('<b>large</b>', 9, 2048, 1048576, 2097152, '<i>shop.cpp:8</i>')]});
const bars = [...document.querySelectorAll('#costs .range')].map(cell => [...cell.querySelectorAll('rect')].map(r => Math.round(r.getAttribute('x'))));
return {series: [series.labels, series.rows.map(r => r.slice(1))], left, shown, none, bars,
  rows: [...document.querySelectorAll('#costs tbody tr')].map(r => [...r.children].map(c => c.innerText.trim().replace(/, .*:.*/, ''))),
  elements: document.querySelectorAll('#costs b, #costs i').length};
"""


def costs_of_known_phases(driver):
    got = driver.execute_script(COSTS)
    figures = ["512 B", "10", "20", "1.0 µs", "2.5 ms", "3.0 s"]
    assert got == {
        "series": [["a", "b"], [[100, 25], [None, None], [20, 0]]], "left": "3 more labels have no place here; tslab labels shows them.",
        "shown": 24, "none": "No phase has ended yet.", "bars": got["bars"], "elements": 0,
        "rows": [["<b>large</b>", "1234", "", "2.0 KiB", "1.0 MiB", "2.0 MiB", *figures, "<i>shop.cpp:8</i>"],
                 ["small", "1234", "", "1.0 KiB", "2.0 KiB", "4.0 KiB", *figures, "shop.cpp:7"],
                 ["nothing", "1234", "", "0 B", "0 B", "0 B", *figures, "–"]]}, got
    # A logarithmic scale of 148 pixels from the least median to the largest phase, 11 doublings: the line, the bar, the maximum.
    assert got["bars"] == [[0, 15, 147], [0, 2, 28], []], got["bars"]


def saved_snapshot(arguments, folder):
    """The command itself, over a file: one sample, no map, and an end by SIGTERM."""
    line = (folder / "recording.tslab").read_text().splitlines()[1]
    (folder / "saved.json").write_text(json.dumps(json.loads(line)["snapshots"][0]))
    server = subprocess.Popen([arguments.tslab, "serve", "--long-lived", "x", folder / "saved.json", "--port", "0"],
                              stdout=subprocess.PIPE, text=True)
    driver = browser(folder / "profile3")
    try:
        words = server.stdout.readline().split()
        assert words[0] == "serving" and words[2] == "on", words
        driver.get(words[3])
        until("the snapshot is drawn", lambda: samples(driver) == 1)
        assert "has no map of pages" in text_of(driver, "#map")
        assert "This needs two samples" in text_of(driver, "#slow")
        assert text_of(driver, "#status-text") == "A saved snapshot"
        got = driver.execute_script(FUNCTIONS)
        assert got == {
            "heaps": ["unnamed", "a", "unnamed (2)", "a (2)"], "rates": [10, None, 3], "set": [10, 5, 5],
            "lanes": [["b", True, 1], ["a", False, 2], ["", False, 1]] + [["c", False, 1]] + 7 * [["", False, 1]], "hidden": 4,
            "bytes": ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "−2.0 KiB", "4.5 TiB"],
            "times": ["0 ns", "999 ns", "1.0 µs", "2.5 ms", "3.0 s"]}, got
        costs_of_known_phases(driver)
        quiet_console(driver)
    finally:
        driver.quit()
        server.terminate()
        server.wait(timeout=20)
    assert server.returncode == 0, f"the server ended with {server.returncode}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--demo", required=True)
    parser.add_argument("--tslab", required=True)
    parser.add_argument("--screenshots", metavar="DIR")
    arguments = parser.parse_args()
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        print("skipped: no Chromium here")
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        os.environ["HOME"] = name   # Chromium writes there
        demo = subprocess.Popen([arguments.demo], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

        def say(word):
            demo.stdin.write(word + "\n")
            demo.stdin.flush()

        try:
            page(arguments, folder, say, demo.stdout.readline().strip())
        finally:
            demo.stdin.close()   # ends it
            demo.wait(timeout=20)
        assert demo.returncode == 0, f"the demo ended with {demo.returncode}"
        report(arguments, folder)
        saved_snapshot(arguments, folder)
        if arguments.screenshots:
            pathlib.Path(arguments.screenshots).mkdir(parents=True, exist_ok=True)
            for picture in folder.glob("*.png"):
                shutil.copy(picture, arguments.screenshots)
    return 0


sys.exit(main())
