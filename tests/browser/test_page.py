"""The page of `kata report` in a real browser: `nox -s page`."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from dojo.page import FILE
from dojo.progress import SIGNS
from tests.browser.finding import chromium
from tests.conftest import House
from tests.test_report import MARKUP, RAISES, judge, serving, told_map
from tests.test_watching import RIGHT, WRONG

PATH, WHY_NOT = chromium()
pytestmark = [pytest.mark.timeout(120), pytest.mark.skipif(not PATH, reason=WHY_NOT)]

MAP = """[...document.querySelectorAll("details[data-kata]")].map(
    each => [each.dataset.kata, each.dataset.verdict, each.dataset.regressed === "true"])"""
OPEN_ALL = "document.querySelectorAll('details').forEach(each => { each.open = true })"
# the contrast of every text with what lies behind it, by WCAG's formula for relative luminance
CONTRASTS = """() => {
    const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(
        c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
    ).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = element => {
        for (let each = element; each; each = each.parentElement) {
            const colour = numbers(getComputedStyle(each).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (texts.nextNode()) {
        const element = texts.currentNode.parentElement;
        if (!texts.currentNode.textContent.trim() || element.closest("svg")) continue;
        const [a, b] = [numbers(getComputedStyle(element).color), behind(element)].map(light);
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        found.push([ratio, element.className || element.tagName, element.textContent.trim()]);
    }
    return found;
}"""


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=PATH, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory):
    """A house with something of everything; written once for all tests that only look."""
    house = House(tmp_path_factory.mktemp("lived") / "house")
    lines = house.root / "katas" / "curriculum.toml"
    titled = lines.read_text().replace("Multiply matrices", MARKUP)
    concepts = "".join(f'{number} = "concept {number} {MARKUP}"\n' for number in (1, 2))
    lines.write_text(f"{titled}\n[concepts]\n{concepts}")
    judge(house, RIGHT)
    judge(house, "def matrix_product(a, b):\n    raise OSError('x' * 900)\n", "matrix_product")
    judge(house, RAISES.replace("row_sums(grid)", "matrix_product(a, b)"), "matrix_product")
    judge(house, "grand_total = None\n", "grand_total")
    run = house.command("report")
    assert run.returncode == 0, run.stderr
    return house


@pytest.fixture
def page(browser, lived_in):
    """The written page; whatever it complains about or asks for is kept in `page.heard`."""
    return visit(browser, (lived_in.root / FILE).as_uri())


def visit(browser, address, **how):
    opened = browser.new_page(**how)
    opened.heard = []
    opened.on("console", lambda message: opened.heard.append(message.text))
    opened.on("pageerror", lambda error: opened.heard.append(str(error)))
    opened.on("dialog", lambda dialog: (opened.heard.append(dialog.message), dialog.dismiss()))
    opened.on("request", lambda request: opened.heard.append(request.url))
    opened.goto(address)
    return opened


def test_it_loads_without_a_complaint_and_asks_for_nothing(page, lived_in):
    """The file itself, and what it carries along."""
    page.evaluate(OPEN_ALL)
    page.wait_for_function("[...document.images].every(each => each.naturalWidth > 0)")
    assert page.locator("img").count() == 1
    outside = [heard for heard in page.heard if not heard.startswith("data:")]
    assert outside == [(lived_in.root / FILE).as_uri()]


def test_the_map_is_what_progress_says(page, lived_in):
    """In the same order, in words and signs that are to be seen."""
    assert [tuple(each) for each in page.evaluate(MAP)] == told_map(lived_in)
    words = page.locator("details[data-kata] .word").all_inner_texts()
    assert words == [verdict for _, verdict, _ in told_map(lived_in)]
    signs = page.locator("summary > .sign").all_inner_texts()
    assert signs == [SIGNS[word] for word in words]
    assert {"green", "red"} <= set(words)


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_kata_is_opened_by_the_keyboard(page, key):
    """Tab leads past the skip link to the first kata; the focus can be seen."""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press(key)
    assert page.locator("#kata-row_sums .record").is_visible()
    assert page.locator("#kata-row_sums img").is_visible()
    page.keyboard.press(key)
    assert not page.locator("#kata-row_sums .record").is_visible()


def test_a_link_to_a_kata_opens_it(page):
    """Without a script: what a link leads to is inside of what opens."""
    page.locator("#concepts a", has_text="matrix_product").first.click()
    assert page.locator("#kata-matrix_product .message").is_visible()


def test_what_a_learner_wrote_stays_text(page):
    """Neither a message nor a title becomes an element, let alone runs."""
    page.evaluate(OPEN_ALL)
    assert MARKUP in page.locator("#kata-matrix_product .message").inner_text()
    assert MARKUP in page.locator("#kata-matrix_product .title").inner_text()
    assert MARKUP in page.locator("#concepts").inner_text()
    assert page.locator("main script, main img:not([src^='data:'])").count() == 0
    assert not [heard for heard in page.heard if heard in ("1", "2")]


def test_a_script_that_got_in_would_not_run(browser, lived_in, tmp_path):
    """The page's own policy stops it, in the tag and in an attribute."""
    spoiled = tmp_path / "spoiled.html"
    text = (lived_in.root / FILE).read_text()
    spoiled.write_text(
        text.replace("<main", "<script>alert(1)</script><img src=x onerror=alert(2)><main")
    )
    page = visit(browser, spoiled.as_uri())
    assert sum("Content Security Policy" in heard for heard in page.heard) >= 2
    assert not {"1", "2"} & set(page.heard)


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_scrolls_sideways(page, width):
    """With everything open, long words too."""
    page.set_viewport_size({"width": width, "height": 700})
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = "[...document.querySelectorAll('main *')].filter(each => !each.closest('.unseen') && "
    beyond += "each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML)"
    assert page.evaluate(beyond) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser, lived_in, scheme):
    """A contrast of 4.5 at least, in both schemes, for every state there is."""
    page = visit(browser, (lived_in.root / FILE).as_uri(), color_scheme=scheme)
    page.evaluate(OPEN_ALL)
    states = ("green", "red", "regressed", "changed", "blocked", "new")
    page.evaluate(
        """states => { const first = document.querySelector(".katas > li");
        for (const state of states) { const other = first.cloneNode(true);
        other.querySelector("details").className = `kata is-${state}`;
        first.after(other); } }""",
        states,
    )
    found = page.evaluate(CONTRASTS)
    assert len(found) > 60
    assert [each for each in found if each[0] < 4.5] == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
    assert dark == (scheme == "dark")


def test_it_is_built_for_those_who_listen(page):
    """A language, landmarks, headings that skip no level, names for lists, pictures, tables."""
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.lang") == "en"
    for landmark in ("header", "nav[aria-label]", "main", "footer", "a.skip[href='#main']"):
        assert page.locator(landmark).count() == 1, landmark
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(each => +each.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.locator("svg:not([aria-hidden='true']):not([role='img'][aria-label])").count() == 0
    assert page.locator("th:not([scope])").count() == 0
    double = "(ids => ids.length - new Set(ids).size)"
    assert page.evaluate(f"{double}([...document.querySelectorAll('[id]')].map(e => e.id))") == 0
    broken = "[...document.querySelectorAll('a')].filter(e => !document.querySelector(e.hash))"
    assert page.evaluate(f"{broken}.length") == 0
    tree = page.locator("#kata-row_sums summary").aria_snapshot()
    assert re.search(r"row_sums.* green.* Add up each row", tree)


def test_a_print_shows_what_is_closed(page):
    """The records of what was judged; no links to click on."""
    page.emulate_media(media="print")
    assert page.locator("#kata-row_sums .record").bounding_box()["height"] > 50
    assert not page.locator("nav").is_visible()


def test_it_follows_a_new_judgement(browser, tmp_path):
    """While it is looked at: what is open stays open, what has the focus keeps it."""
    house = House(tmp_path / "house")
    judge(house, WRONG)
    with serving(house) as address:
        page = visit(browser, address, viewport={"width": 600, "height": 400})
        page.locator("#kata-row_sums summary").focus()
        page.keyboard.press("Enter")
        page.evaluate("scrollTo({ top: 300, behavior: 'instant' })")
        place = page.locator("#kata-row_sums").bounding_box()["y"]
        judge(house, RIGHT)
        page.wait_for_selector("#kata-row_sums[data-verdict=green]", timeout=20000)
        assert page.evaluate("document.querySelector('#kata-row_sums').open")
        assert page.evaluate("document.activeElement.parentElement.id") == "kata-row_sums"
        assert abs(page.locator("#kata-row_sums").bounding_box()["y"] - place) < 2
        assert "1 of 3 katas green" in page.locator("footer [role=status]").inner_text()
        page.wait_for_selector("#kata-row_sums img", timeout=30000)
        assert [tuple(each) for each in page.evaluate(MAP)] == told_map(house)
        asked = {heard for heard in page.heard if not heard.startswith("data:")}
        assert asked == {address, f"{address}version", f"{address}live.js"}
    page.wait_for_selector("#live:has-text('Not live any more')", timeout=20000)
