"use strict";
// The theme, and tables that sort and filter. Plain text and numbers only: nothing from a cell ever becomes markup.

const STORED = "detection-harness-theme";
const NEXT = { none: "ascending", ascending: "descending", descending: "none" };
const SECONDS = { d: 86400, h: 3600, min: 60, s: 1, ms: 1e-3 };
const NUMBER = /(?<![\w.,])[+-]?(\d[\d,]*\.?\d*|\.\d+)(e[+-]?\d+)?/gi;
const page = document.documentElement;

// A browser may refuse storage to a page opened from disk; then the choice lasts until the page is closed.
try { page.dataset.theme = localStorage.getItem(STORED) ?? ""; } catch { /* as above */ }

function switchTheme() {
  const dark = page.dataset.theme ? page.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  page.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem(STORED, page.dataset.theme); } catch { /* as above */ }
}

// What a cell is sorted by: its numbers in turn, a duration in seconds, null where nothing is known, else its text.
function sortKey(cell) {
  const text = cell.textContent.trim().replaceAll("\u2212", "-");
  if (/^[–—?-]?$/.test(text)) return null;
  if (/^(\d+ (d|h|min|s|ms)\s*)+$/.test(text)) {
    return [[...text.matchAll(/(\d+) (\w+)/g)].reduce((sum, [, count, unit]) => sum + count * SECONDS[unit], 0)];
  }
  if (!/^[€$£<>≈~ ]*[+-]?\.?\d/.test(text)) return text;
  return [...text.matchAll(NUMBER)].map(([digits]) => Number(digits.replaceAll(",", "")));
}

function compare(one, other) {
  if (!Array.isArray(one)) return one.localeCompare(other, "en", { numeric: true });
  for (let place = 0; place < Math.min(one.length, other.length); place += 1) {
    if (one[place] !== other[place]) return one[place] - other[place];
  }
  return one.length - other.length;
}

// Ascending, descending, then as the page was written; what is not known stays last in either direction.
function sort(table, header, column) {
  const order = NEXT[header.getAttribute("aria-sort")];
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", order);
  const rows = table.written.map((row) => ({ row, key: sortKey(row.cells[column]) }));
  const known = rows.filter(({ key }) => key !== null);
  if (order !== "none") {
    // One name among the numbers makes it a column of text.
    if (!known.every(({ key }) => Array.isArray(key))) {
      for (const entry of known) entry.key = entry.row.cells[column].textContent.trim();
    }
    const sign = order === "ascending" ? 1 : -1;
    known.sort((one, other) => sign * compare(one.key, other.key));
    rows.splice(0, rows.length, ...known, ...rows.filter(({ key }) => key === null));
  }
  table.tBodies[0].append(...rows.map(({ row }) => row));
}

function makeSortable(table) {
  table.written = [...(table.tBodies[0]?.rows ?? [])];
  if (table.written.length < 2) return;
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort";
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(table, header, column));
    header.append(button);
    header.setAttribute("aria-sort", "none");
  });
}

function addFilter(box, table) {
  const line = document.createElement("div");
  const label = document.createElement("label");
  const input = document.createElement("input");
  const shown = document.createElement("output");
  line.className = "filter";
  input.type = "search";
  input.autocomplete = "off";
  label.append("Filter ", input);
  line.append(label, shown);
  box.before(line);
  const apply = () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of table.written) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    const count = table.written.filter((row) => !row.hidden).length;
    shown.value = `${count} of ${table.written.length} rows`;
  };
  input.addEventListener("input", apply);
  apply();
}

document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector("button.theme");
  button.hidden = false;
  button.addEventListener("click", switchTheme);
  for (const box of document.querySelectorAll("div.table")) {
    const table = box.querySelector("table");
    makeSortable(table);
    if ("filter" in box.dataset) addFilter(box, table);
  }
});
