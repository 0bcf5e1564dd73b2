// A journey: Back and Step go from stop to stop, in the list and on the map. Nothing moves by itself. Bytes shows the
// frame of the current stop, which only a running kernel sends: `data()` is undefined until it is there.
function enlivenJourney(figure, data) {
  const table = figure.querySelector(".ck-stops");
  const stops = [...figure.querySelectorAll(".ck-stop")];
  if (!table || !stops.length) return;
  const words = stops.map((stop) => `${stop.cells[0].textContent}, ${stop.cells[1].textContent}: ${stop.cells[2].firstChild.textContent}`);
  let now = -1; // none: all stops are shown in full

  const bar = document.createElement("div");
  bar.className = "ck-bar";
  bar.tabIndex = 0;
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Stops of the journey: the arrow keys go from stop to stop");
  bar.setAttribute(SUPPRESS, "true");
  const button = (text, action) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute(SUPPRESS, "true");
    made.addEventListener("click", action);
    bar.append(made);
    return made;
  };
  const back = button("◀ Back", () => go(Math.max(Math.min(now, 0), now - 1)));
  const step = button("Step ▶", () => go(now + 1));
  const all = button("Show all", () => go(-1));
  const bytes = button("Bytes", () => {
    bytes.setAttribute("aria-pressed", String(bytes.getAttribute("aria-pressed") !== "true"));
    go(Math.max(0, now));
  });
  bytes.setAttribute("aria-pressed", "false");
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  said.setAttribute("aria-live", "polite");
  bar.append(said);
  table.before(bar);
  const frame = document.createElement("div");
  table.after(frame);
  let shown = "";

  function draw() {
    const wanted = now >= 0 && bytes.getAttribute("aria-pressed") === "true";
    const { figures = [], at = [] } = data() ?? {};
    const figure = wanted ? figures[at[now]] ?? "<p>No frame is seen at this stop.</p>" : "";
    if (shown !== figure) frame.innerHTML = shown = figure;
    bytes.hidden = !figures.length;
  }

  const here = document.createElement("div");
  here.className = "ck-here";
  here.hidden = true;
  here.setAttribute("aria-hidden", "true");
  figure.querySelector(".ck-map")?.append(here);

  // The marker is as large as the map is drawn: the picture shrinks in a narrow page.
  function mark() {
    const at = now < 0 ? null : stops[now].dataset.at;
    const picture = figure.querySelector(".ck-picture");
    here.hidden = !at || !picture;
    if (here.hidden) return;
    const [left, top] = at.split(" ");
    here.style.left = `${left}%`;
    here.style.top = `${top}%`;
    here.style.transform = `scale(${picture.clientWidth / Number(picture.getAttribute("width"))})`;
  }

  function go(to) {
    now = Math.max(-1, Math.min(stops.length - 1, to));
    table.classList.toggle("ck-stepping", now >= 0);
    stops.forEach((stop, i) => {
      stop.classList.toggle("ck-now", i === now);
      if (i === now) stop.setAttribute("aria-current", "step");
      else stop.removeAttribute("aria-current");
    });
    back.setAttribute("aria-disabled", String(now <= 0));
    step.setAttribute("aria-disabled", String(now === stops.length - 1));
    all.setAttribute("aria-disabled", String(now < 0));
    said.textContent = now < 0 ? `${stops.length} stop${stops.length === 1 ? "" : "s"}` : `Stop ${words[now]}`;
    mark();
    draw();
  }

  bar.addEventListener("keydown", (event) => {
    const to = { ArrowRight: now + 1, ArrowDown: now + 1, ArrowLeft: Math.max(0, now - 1), ArrowUp: Math.max(0, now - 1),
      Home: 0, End: stops.length - 1, Escape: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    go(to);
  });
  stops.forEach((stop, i) => stop.addEventListener("click", () => now >= 0 && go(i)));
  window.addEventListener("resize", mark);
  document.addEventListener("ck-data", draw);
  go(-1);
}
