// What stands beside the picture of a BGP run: a router's tables, a decision candidate by candidate, a message.
const STEPS = [["local-pref", "LOCAL_PREF"], ["as-path-length", "AS_PATH length"], ["origin", "ORIGIN"], ["med", "MED"],
  ["ebgp-over-ibgp", "eBGP over iBGP"], ["igp-metric", "IGP metric"], ["router-id", "router id"],
  ["cluster-list-length", "CLUSTER_LIST length"], ["peer-address", "peer address"], ["path-id", "path id"]];
const SIGNS = { best: "▶", balanced: "▷", lost: "·", refused: "✕" };

function made(name, text = "", attributes = {}) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function pressed(text, action, label) {
  const button = made("button", text, { type: "button", [SUPPRESS]: "true" });
  if (label) button.setAttribute("aria-label", label);
  button.addEventListener("click", action);
  return button;
}

const sourceOf = (run, [source]) => (source < 0 ? "local" : run.routers[source]);
const attribute = (run, path, name) => run.attributes[path].find(([key]) => key === name)?.[1] ?? "–";

// The three tables of a router in one: each row is a path of Adj-RIB-In, then what Loc-RIB and the kernel make of it.
function tablesOf(run, state, router, fresh, chosen, choose) {
  const table = made("table", "", { class: "ck-held", "aria-label": `Adj-RIB-In, Loc-RIB and kernel routes of ${run.routers[router]}` });
  const groups = made("tr"), names = made("tr"), body = made("tbody"), head = made("thead");
  for (const [text, wide] of [["Adj-RIB-In", 4], ["Loc-RIB", 1], ["kernel routes", 1]]) groups.append(made("th", text, { scope: "colgroup", colspan: wide }));
  for (const text of ["prefix", "from", "next hop", "AS path", "decision", "sent where"]) names.append(made("th", text, { scope: "col" }));
  head.append(groups, names);
  table.append(head, body);
  run.prefixes.forEach((prefix, p) => {
    const [candidates, , kernel] = run.held[state.held[router * run.prefixes.length + p] ?? run.empty];
    candidates.forEach((candidate, i) => {
      const [, path, verdict, words, stale] = candidate;
      const row = made("tr", "", { class: `ck-${verdict}` });
      const cell = made("td");
      cell.append(pressed(prefix, () => choose(p), `${prefix} from ${sourceOf(run, candidate)}: show the decision`));
      row.append(cell, made("td", sourceOf(run, candidate)), made("td", attribute(run, path, "NEXT_HOP")),
        made("td", attribute(run, path, "AS_PATH")), made("td", `${SIGNS[verdict]} ${run.words[words]}${stale ? " (stale)" : ""}`),
        made("td", verdict === "best" ? run.words[kernel] : ""));
      if (p === chosen) row.classList.add("ck-chosen");
      if (fresh.has(router * run.prefixes.length + p)) { row.classList.add("ck-new"); row.cells[4].append(made("b", " new")); }
      row.addEventListener("click", (event) => event.target.closest("button") || choose(p));
      body.append(row);
    });
  });
  if (!body.rows.length) body.append(made("tr", ""));
  if (!body.rows[0].cells.length) body.rows[0].append(made("td", state.routers[router] ? "no routes" : "down: no tables", { colspan: 6 }));
  return table;
}

// How a router decides on a prefix: the steps in order, the one that decided marked, and every candidate with its verdict.
function decisionOf(run, state, router, p) {
  const [candidates, decided] = run.held[state.held[router * run.prefixes.length + p] ?? run.empty];
  const box = made("div", "", { class: "ck-decision" });
  const rest = candidates.filter(([, , verdict]) => verdict !== "refused").length;
  box.append(made("h4", `${run.routers[router]} decides on ${run.prefixes[p]}`));
  box.append(made("p", !candidates.length ? "It holds no path to it." : !rest ? "No path can be used." :
    decided === "local" ? "Its own route beats all that it hears." :
    decided === "only-path" ? "There is only one usable path: nothing to compare." :
    `${rest} usable paths; the step that left one is ${STEPS.find(([key]) => key === decided)?.[1] ?? decided}.`));
  if (rest > 1 && decided !== "local") {
    const list = made("ol", "", { class: "ck-ladder" });
    const at = STEPS.findIndex(([key]) => key === decided);
    STEPS.slice(0, Math.max(at + 1, 9)).forEach(([, name], i) => {
      const item = made("li", i === at ? `${name} ◀ decided here` : name, { class: i === at ? "ck-decider" : i < at ? "ck-tied" : "ck-unasked" });
      list.append(item);
    });
    box.append(list);
  }
  for (const candidate of candidates) {
    const [, path, verdict, words] = candidate;
    const one = made("div", "", { class: `ck-candidate ck-${verdict}` });
    one.append(made("b", `${SIGNS[verdict]} from ${sourceOf(run, candidate)}: ${run.words[words]}`));
    one.append(made("div", run.attributes[path].map(([name, value]) => `${name} ${value}`).join(" · "), { class: "ck-attributes" }));
    box.append(one);
  }
  return box;
}

function messageOf(run, number, bytes) {
  const [from, to, session, prefix, path, sent, arrives, time, figure] = run.messages[number - 1];
  const box = made("div", "", { class: "ck-message" });
  const what = prefix < 0 ? "End-of-RIB" : `${path < 0 ? "withdraws" : "announces"} ${run.prefixes[prefix]}`;
  box.append(made("h4", `Message ${number}: ${run.routers[from]} → ${run.routers[to]} ${what}`));
  const end = arrives < 0 ? "it does not arrive in what is drawn" : `arrives at ${run.steps[arrives][0]} ms, as step ${arrives + 1}`;
  box.append(made("p", `UPDATE over session ${run.sessions[session]}, sent at ${time} ms in step ${sent + 1}; ${end}.`));
  const table = made("table", "", { "aria-label": "Path attributes" });
  for (const [name, value] of path < 0 ? [] : run.attributes[path]) {
    const row = table.insertRow();
    row.append(made("th", name, { scope: "row" }), made("td", value));
  }
  box.append(table);
  if (figure >= 0) box.append(pressed("Show its bytes", () => bytes(figure)));
  return box;
}
