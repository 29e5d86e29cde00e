"use strict";
// The theme, and tables that sort and filter. Cells are handled as text and numbers and never become markup.

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

// The sort key of a cell: its numbers in turn, a duration in seconds, null for an unknown value, else its text.
function sortKey(cell) {
  const text = cell.textContent.trim().replaceAll("\u2212", "-");
  if (/^[–—?-]?$/.test(text)) return null;
  if (/^(\d+ (d|h|min|s|ms)\s*)+$/.test(text)) {
    return [[...text.matchAll(/(\d+) (\w+)/g)].reduce((sum, [, count, unit]) => sum + count * SECONDS[unit], 0)];
  }
  if (!/^[€$£<>≈~ ]*[+-]?\.?\d/.test(text)) return text;
  return [...text.matchAll(NUMBER)].map(([digits]) => Number(digits.replaceAll(",", "")));
}

function compare(a, b) {
  if (!Array.isArray(a)) return a.localeCompare(b, "en", { numeric: true });
  for (let place = 0; place < Math.min(a.length, b.length); place += 1) {
    if (a[place] !== b[place]) return a[place] - b[place];
  }
  return a.length - b.length;
}

// Sorts ascending, then descending, then in the original order; unknown values stay last in both directions.
function sort(table, header, column) {
  const order = NEXT[header.getAttribute("aria-sort")];
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", order);
  const rows = table.originalRows.map((row) => ({ row, key: sortKey(row.cells[column]) }));
  const keyed = rows.filter(({ key }) => key !== null);
  if (order !== "none") {
    // A single text among the numbers makes it a column of text.
    if (!keyed.every(({ key }) => Array.isArray(key))) {
      for (const entry of keyed) entry.key = entry.row.cells[column].textContent.trim();
    }
    const sign = order === "ascending" ? 1 : -1;
    keyed.sort((a, b) => sign * compare(a.key, b.key));
    rows.splice(0, rows.length, ...keyed, ...rows.filter(({ key }) => key === null));
  }
  table.tBodies[0].append(...rows.map(({ row }) => row));
}

function makeSortable(table) {
  table.originalRows = [...(table.tBodies[0]?.rows ?? [])];
  if (table.originalRows.length < 2) return;
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
    const query = input.value.trim().toLowerCase();
    for (const row of table.originalRows) row.hidden = !row.textContent.toLowerCase().includes(query);
    const count = table.originalRows.filter((row) => !row.hidden).length;
    const all = table.originalRows.length;
    shown.value = `${count} of ${all} row${all === 1 ? "" : "s"}`;
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
