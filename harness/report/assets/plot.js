// Draws each interactive picture, and draws it again when its controls change. The page holds the points and choices.
// Expressions are interpreted (`ast`), not compiled, because the page's policy forbids making code from text.

function specWithChoices(figure, chart) {
  const axis = chart.axes.find(({ name }) => name === figure.querySelector(".axis").value);
  const log = figure.querySelector(".log").checked;
  const spec = structuredClone(chart.spec);
  const values = { axis: axis.name, labels: figure.querySelector(".labels").checked };
  for (const param of spec.params) param.value = values[param.name];
  spec.encoding.x.title = axis.title;
  spec.encoding.x.scale = log ? { type: "log", nice: false, padding: 24 } : { type: "linear", zero: true };
  for (const { mark } of spec.layer) if (mark.type === "line") mark.interpolate = axis.interpolate;
  return spec;
}

async function draw(figure, chart) {
  figure.finalize?.();
  const options = { ast: true, renderer: "svg", actions: false };
  const { finalize } = await window.vegaEmbed(figure.querySelector(".drawing"), specWithChoices(figure, chart), options);
  figure.finalize = finalize;
  placeNames(figure);
}

// Moves names that lie over others, or out of the picture, below their mark, and hides those without room there.
// The names stand in the order of the rows, the most accurate first.
function placeNames(figure) {
  const kept = [];
  const picture = figure.querySelector(".drawing svg").getBoundingClientRect();
  for (const name of figure.querySelectorAll(".drawing .mark-text.role-mark text")) {
    if (!name.textContent) continue;
    const place = name.getAttribute("transform");
    const free = [0, BELOW].some((down) => {
      name.setAttribute("transform", `${place} translate(0,${down})`);
      const { left, right, top, bottom } = name.getBoundingClientRect();
      const inside = left >= picture.left && right <= picture.right && top >= picture.top && bottom <= picture.bottom;
      if (!inside || kept.some((other) => left < other.right && other.left < right && top < other.bottom
        && other.top < bottom)) return false;
      kept.push({ left, right, top, bottom });
      return true;
    });
    name.style.display = free ? "" : "none";
  }
}

const BELOW = 28; // pixels from above a mark to below it
const NARROW = 600; // pixels; a narrower picture has no room for names, so they are switched off at first

for (const figure of document.querySelectorAll("figure.plot")) {
  const chart = JSON.parse(figure.querySelector("script").textContent);
  const interactive = figure.querySelector(".interactive");
  // It must be visible before it is drawn, to have a width; the static picture stays if drawing fails.
  interactive.hidden = false;
  if (interactive.clientWidth < NARROW) figure.querySelector(".labels").checked = false;
  draw(figure, chart).then(
    () => figure.classList.add("drawn"),
    (problem) => { interactive.hidden = true; console.error(problem); },
  );
  figure.querySelector(".controls").addEventListener("change", () => draw(figure, chart));
}
