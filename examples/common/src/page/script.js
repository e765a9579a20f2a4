"use strict";

const element = (id) => document.getElementById(id);
const show = (id, visible) => { element(id).hidden = !visible; };
const write = (id, text) => { element(id).textContent = text; };

async function request(path, fields) {
  const options = fields && { method: "POST", body: new URLSearchParams(fields) };
  const response = await fetch(path, options);
  if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
  return response.status === 204 ? null : response.json();
}

const moment = (millis) => new Date(millis).toLocaleTimeString();
const minutes = (millis) => `in ${Math.ceil(millis / 60000)} min`;

async function refresh() {
  const [me, facts] = await Promise.all([request("/me"), request("/facts")]);
  write("instance", me.instance);
  write("store", me.store);
  write("status", me.user === null ? "Not logged in" : `Logged in as ${me.user}`);
  write("count", me.count);
  show("login-form", me.user === null);
  show("logout", me.user !== null);
  element("cart").replaceChildren(...me.cart.map((item) => {
    const line = document.createElement("li");
    line.textContent = item;
    return line;
  }));
  show("cart-empty", me.cart.length === 0);
  showFacts(facts);
}

function showFacts(facts) {
  show("facts", facts !== null);
  show("no-facts", facts === null);
  // Five first requests at once would make five sessions: there must be one already.
  element("cart-add-five").disabled = facts === null;
  if (facts === null) return;
  write("fact-log-id", facts.log_id);
  write("fact-created", moment(facts.created_at));
  write("fact-authenticated", facts.authenticated_at === null ? "not yet" : moment(facts.authenticated_at));
  write("fact-idle", facts.idle_for === null ? "never" : minutes(facts.idle_for));
  write("fact-ends", facts.ends_at === null ? "never" : moment(facts.ends_at));
}

/// Runs what a button does, then shows what the server says now.
async function act(work) {
  try {
    await work();
    show("message", false);
    await refresh();
  } catch (error) {
    write("message", error.message);
    show("message", true);
  }
}

const goods = ["apples", "bread", "cheese", "dates", "eggs"];

function addFive() {
  const round = Math.floor(element("cart").children.length / goods.length) + 1;
  const name = (item) => (round === 1 ? item : `${item} ${round}`);
  return Promise.all(goods.map((item) => request("/cart", { item: name(item) })));
}

function onSubmit(form, field, path) {
  element(form).addEventListener("submit", (event) => {
    event.preventDefault();
    const input = element(field);
    act(async () => {
      await request(path, { [input.name]: input.value });
      input.value = "";
    });
  });
}

onSubmit("login-form", "user", "/login");
onSubmit("cart-form", "cart-item", "/cart");
element("logout").addEventListener("click", () => act(() => request("/logout", {})));
element("count-button").addEventListener("click", () => act(() => request("/count", {})));
element("cart-add-five").addEventListener("click", () => act(addFive));
act(() => null);
