// A journey, one stop at a time: the stored picture is taken into the page, and each step swaps the parts that change.
// Only a running kernel sends the steps: `data()` is undefined until it is there. Nothing moves by itself.
const PLAY = 1600; // milliseconds a stop while playing

function enlivenJourney(figure, data) {
  const image = figure.querySelector(".ck-scene .ck-picture");
  let begun = false;

  async function begin() {
    if (begun || !image || !data()?.run) return;
    begun = true;
    walk(await inflated(data().run), data().sheet);
  }

  function walk({ trips, pieces, frames }, sheet) {
    const stops = trips.flatMap((trip, i) => trip.steps.map((step, place) => ({ ...step, trip: i, place })));
    let now = -1, shown = -1, timer = 0;

    const make = (name, kind, parent, words = "") => {
      const made = document.createElement(name);
      if (kind) made.className = kind;
      made.textContent = words;
      parent?.append(made);
      return made;
    };
    const button = (words, parent, action, kind = "") => {
      const made = make("button", kind, parent, words);
      made.type = "button";
      made.setAttribute(SUPPRESS, "true");
      made.addEventListener("click", action);
      return made;
    };
    const root = make("div", "ck-walk");
    make("style", "", root, sheet);
    const bar = make("div", "ck-bar", root);
    bar.tabIndex = 0;
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Stops of the journey: arrow keys step, Home and End jump, space plays");
    bar.setAttribute(SUPPRESS, "true");
    const back = button("◀", bar, () => go(now - 1));
    back.setAttribute("aria-label", "Back");
    const step = button("Step ▶", bar, () => go(now + 1), "ck-step-on");
    const play = button("Play", bar, () => (timer ? rest() : start()));
    const scrub = make("input", "", bar);
    Object.assign(scrub, { type: "range", min: 0, max: stops.length - 1, step: 1 });
    scrub.setAttribute("aria-label", "Stop");
    scrub.setAttribute(SUPPRESS, "true");
    scrub.addEventListener("input", () => go(Number(scrub.value)));
    const tripButtons = trips.length < 2 ? [] : trips.map((trip, i) =>
      button(trip.name, bar, () => go(stops.findIndex((stop) => stop.trip === i))));
    const chapters = make("div", "ck-steps", root);
    const scene = make("div", "ck-scene", root);
    scene.innerHTML = atobText(image.src.split(",")[1]);
    const svg = scene.firstElementChild;
    svg.setAttribute("role", "img");
    svg.setAttribute("preserveAspectRatio", "xMinYMin");
    svg.setAttribute("aria-label", image.alt);
    const part = (name) => svg.querySelector(`.ck-${name}`);
    const [token, zoom, mark] = [part("token"), part("zoom"), part("end-mark")];
    const wires = [...svg.querySelectorAll(".ck-wire")], chips = [...svg.querySelectorAll(".ck-chip")];
    token.removeAttribute("transform");
    const said = make("p", "ck-said", root);
    said.setAttribute("role", "status");
    said.setAttribute("aria-live", "polite");
    const panel = make("div", "ck-panel", root);
    panel.tabIndex = 0;
    panel.setAttribute("role", "region");
    panel.setAttribute("aria-label", "What decides at this stop, or the fields of the header that was clicked");
    panel.setAttribute(SUPPRESS, "true");

    // The steps of a trip, each with its stops: built anew only when another trip is shown.
    function turn(trip) {
      shown = trip;
      chapters.replaceChildren();
      const first = stops.findIndex((stop) => stop.trip === trip);
      const boxes = new Map();
      trips[trip].steps.forEach(({ chapter, n }, place) => {
        if (!boxes.has(chapter)) {
          boxes.set(chapter, make("div", "ck-chapter", chapters));
          make("div", "", boxes.get(chapter), `${chapter} ${trips[trip].names[chapter]}`);
        }
        button(n, boxes.get(chapter), () => go(first + place)).setAttribute("aria-label", `Stop ${n}`);
      });
      return boxes;
    }
    let boxes = new Map();

    function go(wanted) {
      const next = Math.max(0, Math.min(stops.length - 1, wanted));
      if (next === now) return;
      now = next;
      const stop = stops[now], trip = trips[stop.trip], last = stop.place === trip.steps.length - 1;
      if (shown !== stop.trip) boxes = turn(stop.trip);
      if (svg.contains(document.activeElement)) bar.focus({ preventScroll: true });
      wires.forEach((wire, i) => wire.classList.toggle("ck-gone", stop.wires.includes(i)));
      chips.forEach((chip, i) => {
        chip.classList.toggle("ck-here", i === stop.here);
        chip.classList.toggle("ck-gone", i !== stop.here && stop.passed.includes(i));
      });
      token.style.transform = `translate(${stop.x}px, ${stop.y}px)`;
      token.innerHTML = pieces[stop.token];
      zoom.innerHTML = pieces[stop.sheet];
      for (const box of zoom.querySelectorAll(".ck-box:not(.ck-ghost)")) {
        box.setAttribute("tabindex", "0");
        box.setAttribute("role", "button");
        box.setAttribute(SUPPRESS, "true");
      }
      const [from, to] = [stop.x - 90, stop.x + 90].map((x) => (x * svg.clientWidth) / svg.viewBox.baseVal.width);
      if (from < scene.scrollLeft) scene.scrollLeft = from;
      else if (to > scene.scrollLeft + scene.clientWidth) scene.scrollLeft = to - scene.clientWidth;
      mark.innerHTML = last ? trip.mark : "";
      said.innerHTML = pieces[stop.status];
      panel.innerHTML = pieces[stop.rows];
      panel.scrollTop = 0;
      for (const [chapter, box] of boxes) {
        box.classList.toggle("ck-here", chapter === stop.chapter);
        box.classList.toggle("ck-gone", chapter < stop.chapter);
      }
      chapters.querySelectorAll("button").forEach((each, place) => {
        if (place === stop.place) each.setAttribute("aria-current", "step");
        else each.removeAttribute("aria-current");
      });
      scrub.value = now;
      scrub.setAttribute("aria-valuetext", `${trip.name}: ${said.firstChild.textContent}`);
      back.setAttribute("aria-disabled", String(now === 0));
      step.setAttribute("aria-disabled", String(now === stops.length - 1));
      tripButtons.forEach((each, i) => each.setAttribute("aria-pressed", String(i === stop.trip)));
      if (now === stops.length - 1) rest();
    }

    function open(box) {
      const fields = frames[stops[now].frame]?.[box.dataset.part];
      const again = box.classList.contains("ck-open");
      zoom.querySelectorAll(".ck-open").forEach((each) => each.classList.remove("ck-open"));
      box.classList.toggle("ck-open", !again);
      panel.innerHTML = again || !fields ? pieces[stops[now].rows] : fields;
      panel.scrollTop = 0;
    }

    function start() {
      if (now === stops.length - 1) go(0);
      timer = setInterval(() => (root.isConnected ? go(now + 1) : rest()), PLAY);
      play.textContent = "Pause";
    }
    function rest() {
      clearInterval(timer);
      timer = 0;
      play.textContent = "Play";
    }

    svg.addEventListener("click", ({ target }) => {
      const box = target.closest(".ck-box[tabindex]"), chip = target.closest(".ck-chip");
      if (box) open(box);
      if (!chip) return;
      const here = chips.indexOf(chip), own = (stop) => stop.trip === shown && stop.here === here;
      const next = stops.findIndex((stop, i) => i > now && own(stop));
      go(next >= 0 ? next : Math.max(stops.findIndex(own), 0));
    });
    root.addEventListener("keydown", (event) => {
      const box = event.target.closest(".ck-box");
      const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: stops.length - 1 }[event.key];
      if (to !== undefined) go(to);
      else if (box && (event.key === "Enter" || event.key === " ")) open(box);
      else if (event.key === " " && !event.target.closest("button")) play.click();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    figure.querySelector("figcaption").after(root);
    figure.classList.add("ck-walks");
    go(0);
  }

  document.addEventListener("ck-data", begin);
  begin();
}
