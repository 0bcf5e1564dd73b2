// The picture of a BGP run, taken from the image into the page: what is down is marked, messages travel along their
// sessions, arrows show where packets to a chosen prefix go. A message's place depends on the time alone, whole or not.
const SVG = "http://www.w3.org/2000/svg";

function drawnMap(image, run, chosen) {
  const svg = new DOMParser().parseFromString(atobText(image.src.split(",")[1]), "image/svg+xml").documentElement;
  svg.removeAttribute("height");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", image.alt);
  const paths = run.sessions.map((_, i) => svg.querySelector(`[data-s="${i}"]`));
  const labels = run.sessions.map((_, i) => svg.querySelector(`[data-l="${i}"]`));
  const boxes = run.routers.map((_, i) => svg.querySelector(`[data-r="${i}"]`));
  const way = svg.querySelector(".ck-way");
  const layer = way.parentNode.appendChild(document.createElementNS(SVG, "g"));
  layer.setAttribute("aria-hidden", "true");
  const tracks = []; // points of each session's line, taken once: asking the browser in every frame is slow
  const markers = new Map();

  boxes.forEach((box, i) => box.addEventListener("click", () => chosen(i)));
  svg.querySelectorAll("text.d:not([data-l])").forEach((mark) => mark.remove()); // redrawn by what is up

  function track(session) {
    return (tracks[session] ??= (() => {
      const path = paths[session], whole = path.getTotalLength();
      return Array.from({ length: 33 }, (_, i) => path.getPointAtLength((whole * i) / 32));
    })());
  }

  function place(session, backwards, u) {
    const points = track(session), at = Math.min(31.999, Math.max(0, (backwards ? 1 - u : u) * 32)), i = Math.floor(at);
    const [p, q] = [points[i], points[i + 1]], part = at - i, long = Math.hypot(q.x - p.x, q.y - p.y) || 1;
    const aside = backwards ? -6 : 6; // the two directions keep to their side
    return [p.x + (q.x - p.x) * part - ((q.y - p.y) / long) * aside, p.y + (q.y - p.y) * part + ((q.x - p.x) / long) * aside];
  }

  function marker(number) {
    if (markers.has(number)) return markers.get(number);
    const [from, to, session, , attributes] = run.messages[number - 1];
    const group = document.createElementNS(SVG, "g");
    group.setAttribute("class", attributes < 0 ? "ck-off" : "ck-on");
    group.innerHTML = attributes < 0 ? '<path d="M0 -9L9 0L0 9L-9 0Z"/><text y="4">−</text>' : '<circle r="7.5"/><text y="4">+</text>';
    const made = { group, session, backwards: ends(session)[0] !== from, from, to };
    markers.set(number, made);
    layer.append(group);
    return made;
  }

  // Whether a line begins at the sender: the one whose box is nearer to its first point.
  const starts = [];
  function ends(session) {
    return (starts[session] ??= (() => {
      const [x, y] = [track(session)[0].x, track(session)[0].y];
      const { from, to } = run.messages.map(([from, to, s]) => ({ from, to, s })).find((m) => m.s === session);
      const far = (i) => { const b = middle(i); return Math.max(0, Math.abs(x - b.x) - b.w / 2) + Math.max(0, Math.abs(y - b.y) - b.h / 2); };
      return far(from) <= far(to) ? [from, to] : [to, from];
    })());
  }

  function middle(i) {
    const rect = boxes[i].querySelector("rect"), n = (name) => Number(rect.getAttribute(name));
    return { x: n("x") + n("width") / 2, y: n("y") + n("height") / 2, w: n("width"), h: n("height") };
  }

  function edge(box, other) {
    const dx = other.x - box.x, dy = other.y - box.y, far = Math.max(Math.abs(dx) * 2 / box.w, Math.abs(dy) * 2 / box.h) || 1;
    return [box.x + dx / far, box.y + dy / far];
  }

  return {
    svg,
    // Messages at a time between two steps: from the sender when it is sent, at the receiver when it arrives.
    travel(time) {
      const under = new Set();
      run.messages.forEach(([, , session, , , sent, arrives], i) => {
        const end = arrives < 0 ? run.steps.length + 4 : arrives;
        if (time < sent + 1 || time >= end + 1) return;
        under.add(i + 1);
        const made = marker(i + 1);
        const [x, y] = place(session, made.backwards, (time - sent - 1) / (end - sent));
        made.group.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
      });
      for (const [number, made] of markers) if (!under.has(number)) { made.group.remove(); markers.delete(number); }
    },
    mark(state, shown, moved) {
      paths.forEach((path, i) => {
        path.classList.toggle("off", !state.sessions[i]);
        if (!labels[i]) return;
        labels[i].classList.toggle("d", !state.sessions[i]);
        labels[i].textContent = `${state.sessions[i] ? "" : "✕ "}${path.classList.contains("i") ? "iBGP" : "eBGP"}`;
      });
      boxes.forEach((box, i) => {
        box.classList.toggle("off", !state.routers[i]);
        box.classList.toggle("ck-shown", i === shown);
        box.classList.toggle("ck-moved", moved.has(i));
      });
    },
    // Where each router's kernel sends packets: `ways[i]` are the routers that router i sends to.
    forward(ways) {
      way.replaceChildren();
      ways.forEach((hops, i) => hops.forEach((hop) => {
        const [a, b] = [middle(i), middle(hop)];
        const [x1, y1] = edge(a, b), [x2, y2] = edge(b, a), long = Math.hypot(x2 - x1, y2 - y1) || 1;
        const [ux, uy] = [(x2 - x1) / long, (y2 - y1) / long], [ox, oy] = [uy * 9, -ux * 9];
        const [tx, ty] = [x2 - ux * 3 + ox, y2 - uy * 3 + oy], [bx, by] = [tx - ux * 12, ty - uy * 12];
        const arrow = document.createElementNS(SVG, "path");
        arrow.setAttribute("d", `M${x1 + ox} ${y1 + oy}L${bx} ${by}M${tx} ${ty}L${bx - uy * 6} ${by + ux * 6}L${bx + uy * 6} ${by - ux * 6}Z`);
        way.append(arrow);
      }));
    },
  };
}

function atobText(packed) {
  return new TextDecoder().decode(Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0)));
}

async function inflated(packed) {
  const raw = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}
