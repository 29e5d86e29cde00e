// Draws each interactive picture, again whenever its controls change. The points and the choices are in the page.
// Expressions are interpreted (`ast`), never compiled: the page's policy forbids making code out of text.

function chosen(figure, chart) {
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
  const { finalize } = await window.vegaEmbed(figure.querySelector(".drawing"), chosen(figure, chart), options);
  figure.finalize = finalize;
}

const NARROW = 600; // pixels: less leaves no room for names beside the points, so they start switched off

for (const figure of document.querySelectorAll("figure.plot")) {
  const chart = JSON.parse(figure.querySelector("script").textContent);
  const interactive = figure.querySelector(".interactive");
  // It must be laid out before it is drawn, for its width; the static picture stays if that fails.
  interactive.hidden = false;
  if (interactive.clientWidth < NARROW) figure.querySelector(".labels").checked = false;
  draw(figure, chart).then(
    () => figure.classList.add("drawn"),
    (problem) => { interactive.hidden = true; console.error(problem); },
  );
  figure.querySelector(".controls").addEventListener("change", () => draw(figure, chart));
}
