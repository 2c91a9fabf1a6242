// Looks for a newer page and puts it in place; what is open, focused and in view stays so.
const root = document.documentElement;
const WAIT = 1000;

async function text(address) {
  const answer = await fetch(address, { cache: "no-store" });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.text();
}

function say(words) {
  const line = document.getElementById("live");
  if (line.textContent !== words) line.textContent = words;
}

async function renew() {
  const fresh = new DOMParser().parseFromString(await text("/"), "text/html");
  const main = document.getElementById("main");
  const focused = document.activeElement?.closest("details[id]")?.id;
  for (const opened of main.querySelectorAll("details[open][id]")) {
    fresh.getElementById(opened.id)?.setAttribute("open", "");
  }
  const top = (element) => element.getBoundingClientRect().top;
  const inView = (element) => element.getBoundingClientRect().bottom > 0;
  const seen = window.scrollY > 0 && [...main.querySelectorAll("details[id]")].find(inView);
  const before = seen && top(seen);
  main.replaceChildren(...fresh.getElementById("main").childNodes);
  const now = seen && document.getElementById(seen.id);
  if (now) window.scrollBy({ top: top(now) - before, behavior: "instant" });
  if (focused) {
    document.getElementById(focused)?.querySelector("summary").focus({ preventScroll: true });
  }
  document.title = fresh.title;
  root.dataset.version = fresh.documentElement.dataset.version;
  say(`Live: ${fresh.title}.`);
}

async function look() {
  try {
    if ((await text("/version")) !== root.dataset.version) await renew();
  } catch (error) {
    say("Not live any more: `kata report --serve` does not answer.");
  }
  setTimeout(look, WAIT);
}

look();
