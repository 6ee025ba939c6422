"use strict";

const make = (tag, text, attributes = {}) => {
  const node = document.createElement(tag);
  if (text) node.textContent = text;
  Object.assign(node, attributes);
  return node;
};

const send = async (method, path, body, shown) => {
  const headers = {};
  const key = document.getElementById("key").value;
  if (key) headers.authorization = `Bearer ${key}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  shown.hidden = false;
  try {
    const began = performance.now();
    const answer = await fetch(path, { method, headers, body });
    const text = await answer.text();
    const took = Math.round(performance.now() - began);
    let content = text;
    if ((answer.headers.get("content-type") || "").includes("json")) content = JSON.stringify(JSON.parse(text), null, 2);
    shown.textContent = `${answer.status} in ${took} ms\n\n${content}`;
  } catch (error) {
    shown.textContent = String(error);
  }
};

const operation = (path, method, about) => {
  const section = make("section");
  section.id = about.operationId;
  const head = make("h2");
  head.append(make("span", method.toUpperCase(), { className: "method" }), make("code", path));
  section.append(head, make("p", about.summary));
  if (about.description) section.append(make("p", about.description));
  const shown = make("pre", "", { hidden: true });
  const media = about.requestBody && about.requestBody.content["application/json"];
  const button = make("button", "Send");
  if (media) {
    const area = make("textarea", "", { spellcheck: false });
    area.setAttribute("aria-label", "Body of the request");
    const choice = make("select");
    choice.setAttribute("aria-label", "Example");
    const known = media.examples || {};
    for (const name of Object.keys(known)) choice.append(make("option", name, { value: name }));
    const fill = () => { area.value = known[choice.value] ? JSON.stringify(known[choice.value].value) : "{}"; };
    choice.onchange = fill;
    fill();
    const line = make("p", "Example: ");
    line.append(choice);
    section.append(line, area);
    button.onclick = () => send(method.toUpperCase(), path, area.value, shown);
  } else {
    button.onclick = () => send(method.toUpperCase(), path, undefined, shown);
  }
  const statuses = Object.entries(about.responses).map(([status, answer]) => `${status} ${answer.description}`);
  section.append(make("p", `Answers: ${statuses.join("; ")}.`), button, shown);
  return section;
};

const show = async () => {
  const place = document.getElementById("operations");
  try {
    const content = await (await fetch("/openapi.json")).json();
    document.getElementById("about").textContent = content.info.description;
    document.getElementById("keyed").hidden = !(content.components.securitySchemes);
    place.replaceChildren();
    for (const [path, methods] of Object.entries(content.paths)) {
      for (const [method, about] of Object.entries(methods)) place.append(operation(path, method, about));
    }
  } catch (error) {
    place.textContent = `/openapi.json cannot be read: ${error}`;
  }
};

show();
