// Runs in the page under test before its own scripts: records messages, clicks, and leaves what it observed.

const messages = [];
let alerts = 0;
window.alert = () => { alerts += 1; };
for (const level of ["error", "warn"]) console[level] = (...words) => messages.push(words.join(" "));
window.addEventListener("error", (event) => messages.push(`error: ${event.message}`));
window.addEventListener("unhandledrejection", (event) => messages.push(`rejection: ${event.reason}`));
document.addEventListener("securitypolicyviolation", (event) => messages.push(`policy: ${event.violatedDirective}`));

const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const texts = (selector) => all(selector).map((element) => element.textContent);
const pause = () => new Promise((resolve) => { setTimeout(resolve, 300); });

async function until(holds) {
  for (let tries = 0; tries < 30 && !holds(); tries += 1) await pause();
}

function sorts(table) {
  const columns = {};
  const aria = [];
  all("th", table).forEach((header, column) => {
    columns[header.textContent] = [1, 2, 3].map(() => {
      header.querySelector("button").click();
      if (column === 0) aria.push(header.getAttribute("aria-sort"));
      return [...table.tBodies[0].rows].map((row) => row.cells[column].textContent);
    });
  });
  return { columns, aria };
}

function filter(box) {
  const [input, output] = ["input", "output"].map((name) => box.previousElementSibling.querySelector(name));
  const type = (text) => { input.value = text; input.dispatchEvent(new Event("input")); return output.value; };
  const count = type(" TWO ");
  const rows = all("tbody tr", box).filter((row) => row.offsetHeight).map((row) => row.cells[0].textContent);
  return { count, rows, count_without_filter: type("") };
}

const picture = () => ({
  marks: all(".drawing .mark-symbol.role-mark path").length,
  whiskers: all(".drawing .mark-rule.role-mark line").length,
  fronts: all(".drawing .mark-line.role-mark path").length,
  names: texts(".drawing .mark-text.role-mark text").filter((text) => text),
  title: texts(".drawing .role-axis-title text")[0],
  ticks: texts(".drawing .role-axis-label text").join(" "),
});

async function change(selector, property, value) {
  const control = document.querySelector(selector);
  control[property] = value;
  control.dispatchEvent(new Event("change", { bubbles: true }));
  await pause();
  return picture();
}

async function tooltip() {
  const mark = all(".drawing .mark-symbol.role-mark path").at(-1);
  const { x, y, width, height } = mark.getBoundingClientRect();
  const place = { bubbles: true, clientX: x + width / 2, clientY: y + height / 2 };
  for (const kind of ["pointerover", "pointermove"]) mark.dispatchEvent(new PointerEvent(kind, place));
  await pause();
  return document.querySelector("#vg-tooltip-element")?.textContent ?? "no tooltip";
}

async function observe() {
  await until(() => document.querySelector("figure.plot.drawn"));
  const boxes = all("div.table");
  const { columns, aria } = sorts(boxes[0].querySelector("table"));
  const plot = { first: picture() };
  const tip = await tooltip();
  plot.throughput = await change(".axis", "value", "throughput");
  plot.log = await change(".log", "checked", true);
  plot.bare = await change(".labels", "checked", false);
  const themes = [1, 2].map(() => {
    document.querySelector("button.theme").click();
    return [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor];
  });
  return {
    sorts: columns, aria, plot, tooltip: tip, themes, messages, alerts,
    filtered: boxes.map((box) => box.previousElementSibling.className === "filter"),
    filter: filter(boxes[0]),
    choices: all(".axis option").map((option) => option.value),
    static: getComputedStyle(document.querySelector("figure.plot > img")).display,
    requests: performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => !name.startsWith("data:")),
    unexpected: all("[onerror], img:not([src^='data:image/']), a[href^='javascript' i], main script:not([type])")
      .map((element) => element.outerHTML),
    links: all("main a:not(.anchor)").map((link) => link.getAttribute("href")),
    title: document.title,
  };
}

window.addEventListener("load", async () => {
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify(await observe().catch((problem) => ({ stopped: problem.stack, messages })));
  document.body.append(result);
});
