// What pages do better with a script: an upload that shows how far it is, and pages that renew
// themselves. Without it every one of them works all the same.
"use strict";

const byId = (id) => document.getElementById(id);
document.documentElement.classList.add("scripted");

/* Times, in the reader's own zone. */
function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = time.dateTime;
    time.textContent = "short" in time.dataset
      ? at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" })
      : at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
  }
}

const atEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < 8;
const toEnd = (box) => { box.scrollTop = box.scrollHeight; };

/* A session that has ended: to the page that asks for the key, and from there back to this one. */
function wantsLogin(answer) {
  const wants = answer.redirected && new URL(answer.url).pathname.endsWith("/login");
  if (wants) location.assign(answer.url);
  return wants;
}

/* Pages that renew themselves: the server renders, this puts in what has changed. */
function renew() {
  const seen = new Map();
  const parts = () => document.querySelectorAll("[data-live]");
  for (const part of parts()) seen.set(part.id, part.outerHTML);
  localise(document);
  for (const log of document.querySelectorAll("pre.log")) toEnd(log);
  let timer = 0;
  let pause = 1000;
  let asking = null;

  // Whether to look again: a job's page waits until its job has changed. One that runs is looked at
  // after its wait all the same, for its log grows without a change.
  async function isWorthALook() {
    const job = document.querySelector("[data-poll][data-wait]");
    if (!job) return true;
    asking = new AbortController();
    const headers = { Accept: "application/json", "If-None-Match": job.dataset.tag };
    const answer = await fetch(job.dataset.wait, { headers, signal: asking.signal });
    // The look that follows leads to the login page.
    if (answer.status === 401) return true;
    if (!answer.ok && answer.status !== 304) throw new Error(answer.status);
    return answer.status !== 304 || !!document.querySelector(".state.running");
  }

  async function look() {
    timer = 0;
    try {
      if (!await isWorthALook()) {
        pause = 1000;
        plan();
        return;
      }
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (wantsLogin(answer)) return;
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of parts()) replace(part, fresh.getElementById(part.id));
      // A wait is a pause; this one is for a server that answers at once.
      pause = document.querySelector("[data-poll][data-wait]") ? 200 : 1000;
    } catch {
      if (document.hidden) return;
      pause = Math.min(pause * 2, 30000);
    }
    plan();
  }

  function replace(part, fresh) {
    if (!fresh || seen.get(part.id) === fresh.outerHTML) return;
    seen.set(part.id, fresh.outerHTML);
    const log = part.querySelector("pre.log");
    const follow = !log || atEnd(log);
    const kept = log ? log.scrollTop : 0;
    localise(fresh);
    // The element stays: a live region that is replaced is not read out.
    part.innerHTML = fresh.innerHTML;
    for (const name of ["data-poll", "data-wait", "data-tag"]) {
      if (fresh.hasAttribute(name)) part.setAttribute(name, fresh.getAttribute(name));
      else part.removeAttribute(name);
    }
    const now = part.querySelector("pre.log");
    if (now && follow) toEnd(now);
    else if (now) now.scrollTop = kept;
  }

  function plan() {
    if (!timer && !document.hidden && document.querySelector("[data-poll]")) {
      timer = setTimeout(look, pause);
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(timer);
      timer = 0;
      if (asking) asking.abort();
    } else {
      plan();
    }
  });
  plan();
}

/* The form. */
function upload(form) {
  const file = byId("file"), drop = byId("drop"), list = byId("chosen");
  const send = byId("send"), stop = byId("stop"), failed = byId("failed");
  const sending = byId("sending"), sent = byId("sent"), said = byId("said");
  let request = null;
  // The same files and fields, sent again after a lost connection, are the same request: where the
  // first one came through after all, it is answered and not done twice.
  let key = null;

  function newKey() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function size(bytes) {
    if (bytes < 1024) return `${bytes} B`;
    const units = ["KiB", "MiB", "GiB", "TiB"];
    let unit = -1;
    do { bytes /= 1024; unit += 1; } while (bytes >= 1024 && unit < 3);
    return `${bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
  }

  function show() {
    list.replaceChildren(...Array.from(file.files, (one) => {
      const row = document.createElement("li");
      const name = row.appendChild(document.createElement("bdi"));
      name.textContent = one.name;
      row.appendChild(document.createElement("small")).textContent = size(one.size);
      return row;
    }));
    list.hidden = file.files.length === 0;
    send.textContent = file.files.length > 1 ? `Upload ${file.files.length} files` : "Upload";
  }

  function busy(is) {
    sending.hidden = !is;
    stop.hidden = !is;
    send.disabled = is;
  }

  function fail(text) {
    busy(false);
    request = null;
    failed.textContent = text;
    failed.hidden = !text;
    if (text) failed.scrollIntoView({ block: "nearest" });
  }

  function start() {
    const data = new FormData(form);
    request = new XMLHttpRequest();
    const since = performance.now();
    request.upload.onprogress = (event) => {
      if (!event.lengthComputable) return;
      sent.value = Math.round((1000 * event.loaded) / event.total);
      const speed = event.loaded / Math.max(0.2, (performance.now() - since) / 1000);
      said.textContent = `${size(event.loaded)} of ${size(event.total)}, ${size(speed)}/s`;
    };
    request.upload.onload = () => {
      sent.removeAttribute("value");
      said.textContent = "Storing it safely…";
    };
    request.onload = () => {
      // One that is still under way is asked for again; any other answer is an end.
      if (request.status !== 409) key = null;
      let body = null;
      try { body = JSON.parse(request.responseText); } catch { /* told below */ }
      if (request.status === 202 && body) {
        const page = body.batch_id ? `jobs?batch=${body.batch_id}` : `status/${body.jobs[0].job_id}`;
        location.assign(new URL(page, form.action));
      } else if (request.status === 401) {
        const next = encodeURIComponent(location.pathname + location.search);
        location.assign(new URL(`login?next=${next}`, form.action));
      } else {
        fail(body && body.detail ? body.detail : `The server answered ${request.status}.`);
      }
    };
    request.onerror = () => fail("The connection was lost before the upload was answered. Send it again: it will not be done twice.");
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    key = key || newKey();
    request.setRequestHeader("Idempotency-Key", key);
    failed.hidden = true;
    sent.value = 0;
    said.textContent = "Sending…";
    busy(true);
    request.send(data);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!request) start();
  });
  form.addEventListener("change", () => { key = null; });
  stop.addEventListener("click", () => {
    if (request) request.abort();
    key = null;
    fail("");
  });
  file.addEventListener("change", show);
  // A page that comes back from the browser's cache may still have its files.
  window.addEventListener("pageshow", () => { fail(""); show(); });

  let depth = 0;
  const over = (by) => { depth = Math.max(0, depth + by); drop.classList.toggle("over", depth > 0); };
  document.addEventListener("dragenter", () => over(1));
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(-depth);
    if (event.dataTransfer.files.length && !request) {
      file.files = event.dataTransfer.files;
      key = null;
      show();
    }
  });

  // Another processor's fields, without losing the files that were chosen.
  form.addEventListener("click", async (event) => {
    const choice = event.target.closest("[data-choice]");
    if (!choice || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    try {
      const answer = await fetch(choice.href, { headers: { Accept: "text/html" } });
      if (wantsLogin(answer)) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      byId("options").replaceWith(fresh.getElementById("options"));
      byId("limits").replaceWith(fresh.getElementById("limits"));
      file.accept = fresh.getElementById("file").accept;
      history.replaceState(null, "", choice.href);
      key = null;
      const current = document.querySelector("[data-choice][aria-current]");
      if (current) current.focus();
    } catch {
      location.assign(choice.href);
    }
  });
}

renew();
if (byId("upload")) upload(byId("upload"));
