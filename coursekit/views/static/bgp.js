// A BGP run, played in the browser: all of it was worked out in Python. `step` counts the events that have happened;
// between two whole steps only messages move. Nothing moves until asked.
async function enlivenBgp(figure, data) {
  if (!data()) return document.addEventListener("ck-data", () => enlivenBgp(figure, data), { once: true });
  if (figure.querySelector(".ck-stage")) return;
  const still = figure.querySelector(".ck-still"), image = still?.querySelector("img");
  if (!image) return;
  const stage = made("div", "", { class: "ck-stage" });
  still.before(stage); // at once, so that it is built once
  const run = await inflated(data().run);
  stage.append(made("style", data().sheet));
  const last = run.steps.length, wide = run.prefixes.length;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let step = 0, time = 0, playing = 0, goal = last, before = 0;
  let pinned = -1, prefix = -1, message = 0, state, fresh, figures = null;

  const bar = made("div", "", { class: "ck-bar", tabindex: "0", role: "group", [SUPPRESS]: "true",
    "aria-label": "Steps of the run. Arrow keys step, Page Up and Page Down go to what happens before and next, Home and End to the ends, space plays" });
  const button = (text, action, label) => { const one = pressed(text, action, label); bar.append(one); return one; };
  const first = button("|◀", () => go(0), "To the start");
  const back = button("◀ Back", () => go(step - 1));
  const next = button("Step ▶", () => step < last && walk(step + 1));
  const play = button("▶ Play", () => (playing ? halt() : walk(last)));
  const quiet = button("Run to quiet ▶|", () => go(ending(step)));
  const scrub = made("input", "", { type: "range", min: 0, max: last, step: 1, value: 0, "aria-label": "Step", [SUPPRESS]: "true" });
  const count = made("span", "", { class: "ck-count" });
  bar.append(scrub, count);
  const chapters = made("div", "", { class: "ck-chapters" });
  const said = made("p", "", { class: "ck-says", role: "status", "aria-live": "polite" });
  const picture = made("div", "", { class: "ck-picture-live" });
  const aside = made("div", "", { class: "ck-aside" }), flight = made("div", "", { class: "ck-flight" }), detail = made("div", "", { class: "ck-chosen-one" });
  const choice = made("select", "", { [SUPPRESS]: "true" }), label = made("label", "Tables of "), tables = made("div"), bytes = made("div");
  const map = drawnMap(image, run, (router) => { pinned = router; choice.value = String(router); halt(); draw(); });
  choice.append(made("option", "whoever gets a message", { value: "-1" }), ...run.routers.map((name, i) => made("option", name, { value: i })));
  label.append(choice);
  const wide_ = Number(image.getAttribute("width"));
  picture.style.flexBasis = `${Math.round(wide_ * 0.8)}px`;
  picture.style.maxWidth = `${Math.round(wide_ * 1.25)}px`;
  const drawing = made("div", "", { class: "ck-drawing" }), caption = made("p", "", { class: "ck-arrows" });
  drawing.append(map.svg);
  picture.append(drawing, caption);
  aside.append(flight, detail);
  const two = made("div", "", { class: "ck-two" });
  two.append(picture, aside);
  stage.append(bar, chapters, said, two, label, tables, bytes);
  figure.classList.add("ck-alive");
  const shorts = run.chapters.map(([name, begin, end, says, converged], i) => {
    const one = pressed(`${i + 1} ${name}`, () => go(Math.min(begin, end) + 1));
    const words = made("span", `${converged ? "✓" : "✕"} ${says}`, { class: converged ? "ck-good" : "ck-bad" });
    const line = made("div");
    line.append(one, words);
    chapters.append(line);
    return one;
  });

  // The state after a number of steps, from the beginning: a few hundred changes take less than a millisecond.
  function reckon(upto) {
    const now = { held: new Int32Array(run.routers.length * wide).fill(run.empty), sessions: [...run.begins.sessions], routers: [...run.begins.routers] };
    for (const [, , , changes, other] of run.steps.slice(0, upto)) {
      for (const [router, p, held] of changes) now.held[router * wide + p] = held;
      for (const kind of ["sessions", "routers"]) for (const [i, up] of other[kind] ?? []) now[kind][i] = up;
    }
    return now;
  }

  const chapterOf = (at) => Math.max(0, run.chapters.findIndex(([, begin, end]) => at - 1 >= begin && at - 1 <= end));
  // The end of what is happening; at that end, the end of what happens next.
  function ending(at) {
    return (run.chapters.find(([, , end]) => end + 1 > at)?.[2] ?? last - 1) + 1;
  }

  function whom() {
    if (pinned >= 0) return pinned;
    const [, number, , changes] = run.steps[step - 1] ?? [0, 0, "", []];
    return number ? run.messages[number - 1][1] : changes.length && run.chapters.some(([, begin]) => begin === step - 1) ? changes[0][0] : 0;
  }

  function draw() {
    state = reckon(step);
    const [at, number, says, changes] = run.steps[step - 1] ?? [0, 0, "Before the first event: the sessions are up, and nothing is announced yet. Step ▶ or press →.", []];
    fresh = new Set(changes.map(([router, p]) => router * wide + p));
    const shown = whom();
    map.mark(state, shown, new Set(changes.map(([router]) => router)));
    map.travel(time);
    const focused = document.activeElement, kept = tables.contains(focused) ? [...tables.querySelectorAll("button")].indexOf(focused) : -1;
    tables.replaceChildren(tablesOf(run, state, shown, fresh, prefix, (p) => { prefix = p === prefix && !message ? -1 : p; message = 0; pinned = pinned < 0 ? shown : pinned; choice.value = String(pinned); halt(); draw(); }));
    if (kept >= 0) tables.querySelectorAll("button")[kept]?.focus({ preventScroll: true });
    if (pinned < 0) choice.options[0].textContent = `whoever gets a message (now ${run.routers[shown]})`;
    forward();
    queue(number);
    if (message) detail.replaceChildren(messageOf(run, message, showBytes));
    else if (prefix >= 0) detail.replaceChildren(decisionOf(run, state, shown, prefix));
    else detail.replaceChildren(made("p", "Choose a row of the tables for the decision and for the way packets take; choose a message for what it says.", { class: "ck-hint" }));
    said.setAttribute("aria-live", playing ? "off" : "polite"); // while it plays, a voice could not keep up
    said.textContent = step ? `Step ${step} of ${last}, ${at} ms. ${says}` : says;
    count.textContent = `${step} / ${last}`;
    scrub.value = step;
    scrub.setAttribute("aria-valuetext", `${step} of ${last}`);
    for (const [one, off] of [[first, !step], [back, !step], [next, step === last], [quiet, step === last]]) one.setAttribute("aria-disabled", String(off));
    shorts.forEach((one, i) => one.setAttribute("aria-pressed", String(step > 0 && i === chapterOf(step))));
    play.textContent = playing ? "‖ Pause" : step === last ? "↻ Play again" : "▶ Play";
  }

  function forward() {
    const ways = run.routers.map((_, i) => (prefix < 0 ? [] : run.held[state.held[i * wide + prefix]][3]));
    map.forward(ways);
    const without = prefix < 0 ? [] : run.routers.filter((_, i) => state.routers[i] && !run.held[state.held[i * wide + prefix]][0].some((c) => c[2] === "best"));
    caption.textContent = prefix < 0 ? "" : `Arrows: where packets for ${run.prefixes[prefix]} are sent.${without.length ? ` No route: ${without.join(", ")}.` : ""}`;
  }

  function queue(number) {
    const entry = (n) => {
      const [from, to, , p, path] = run.messages[n - 1];
      const one = pressed(`${path < 0 ? "−" : "+"} ${run.routers[from]} → ${run.routers[to]}  ${p < 0 ? "End-of-RIB" : run.prefixes[p]}`, () => { message = n === message ? 0 : n; halt(); draw(); });
      one.setAttribute("aria-pressed", String(n === message));
      return one;
    };
    const waiting = run.messages.map((m, i) => [i + 1, m]).filter(([, m]) => m[5] < step && (m[6] < 0 || m[6] >= step))
      .sort(([, a], [, b]) => (a[6] < 0 ? last : a[6]) - (b[6] < 0 ? last : b[6]));
    const parts = number ? [made("h4", "Just arrived"), entry(number)] : [];
    parts.push(made("h4", waiting.length ? `In flight: ${waiting.length}, next to arrive first` : "Nothing is in flight"));
    parts.push(...waiting.slice(0, 5).map(([n]) => entry(n)));
    if (waiting.length > 5) parts.push(made("p", `… ${waiting.length - 5} more`, { class: "ck-hint" }));
    const kept = flight.contains(document.activeElement);
    flight.replaceChildren(...parts);
    if (kept) (flight.querySelector("[aria-pressed=true]") ?? flight.querySelector("button") ?? bar).focus({ preventScroll: true });
  }

  async function showBytes(which) {
    figures ??= await inflated(data().figures);
    bytes.innerHTML = figures[which];
  }

  function go(to) {
    halt();
    step = time = Math.max(0, Math.min(last, to));
    bytes.replaceChildren();
    draw();
  }

  // Go on to a step at a pace that a learner can follow; where motion is not wanted, from step to step.
  function walk(to) {
    const resume = step === last ? 0 : step;
    halt();
    step = time = resume;
    goal = Math.min(last, to);
    if (calm.matches && goal === step + 1) return go(goal);
    bytes.replaceChildren();
    before = 0;
    playing = requestAnimationFrame(frame);
    draw();
  }

  function frame(now) {
    const pace = Math.max(140, Math.min(900, 24000 / last)); // milliseconds for a step
    if (before) time = Math.min(goal, time + (now - before) / pace);
    before = now;
    const reached = Math.floor(time + 1e-9);
    if (time >= goal) { playing = 0; step = time = goal; draw(); return; }
    playing = requestAnimationFrame(frame);
    if (reached > step) { step = reached; draw(); }
    else if (!calm.matches) map.travel(time);
  }

  function halt() {
    if (!playing) return;
    cancelAnimationFrame(playing);
    playing = 0;
    time = step;
    map.travel(time);
    play.textContent = "▶ Play";
  }

  bar.addEventListener("keydown", (event) => {
    if (event.target.tagName === "BUTTON" && event.key === " ") return; // presses the button
    const begins = run.chapters.map(([, begin]) => begin + 1);
    const to = { ArrowRight: step + 1, ArrowUp: step - 1, ArrowDown: step + 1, ArrowLeft: step - 1, Home: 0, End: last,
      PageDown: ending(step), PageUp: Math.max(0, ...begins.filter((begin) => begin < step)) }[event.key];
    if (to === undefined && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === " ") playing ? halt() || draw() : walk(last);
    else go(to);
  });
  scrub.addEventListener("input", () => go(Number(scrub.value)));
  choice.addEventListener("change", () => { pinned = Number(choice.value); draw(); });
  draw();
}
