// Finds the course's figures on the page, now and later, and gives each its behaviour once.
const shared = (window.__coursekit ??= { data: new Map(), models: new Map(), seen: new WeakSet(), watching: false });

function upgrade(root) {
  // A focused drop-down or button of a form is nothing one writes in: without this, JupyterLab takes x for "cut cell".
  for (const control of root.querySelectorAll(".ck-form :is(select, button, input)")) control.setAttribute(SUPPRESS, "true");
  for (const group of root.querySelectorAll(".ck-form .widget-radio-box")) {
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-label", "Options");
  }
  for (const figure of root.querySelectorAll(".ck")) {
    if (shared.seen.has(figure)) continue;
    shared.seen.add(figure);
    const key = [...figure.classList].find((name) => name.startsWith("ck-key-"))?.slice(7);
    if (figure.classList.contains("ck-packet")) enlivenPacket(figure);
    if (figure.classList.contains("ck-frames")) enlivenFrames(figure, () => shared.models.get(key));
    if (figure.classList.contains("ck-journey")) enlivenJourney(figure, () => shared.data.get(key));
    if (figure.classList.contains("ck-bgp")) enlivenBgp(figure, () => shared.data.get(key));
  }
}

function watch() {
  if (shared.watching) return;
  shared.watching = true;
  let waiting = false;
  new MutationObserver(() => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; upgrade(document); });
  }).observe(document.body, { childList: true, subtree: true });
}

export default {
  initialize({ model }) {
    watch();
    upgrade(document);
    if (!model.get("key")) return;
    shared.data.set(model.get("key"), model.get("data"));
    shared.models.set(model.get("key"), model);
    document.dispatchEvent(new Event("ck-data"));
  },
};
