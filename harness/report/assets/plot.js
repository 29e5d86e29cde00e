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
}

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
