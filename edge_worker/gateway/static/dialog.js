// One dialog for every question; resolves to the text typed (or "" without an input), or null where it was cancelled.
export function ask({ title, message, input = null }) {
  const dialog = document.getElementById("ask");
  const field = document.getElementById("ask-input");
  document.getElementById("ask-title").textContent = title;
  document.getElementById("ask-text").textContent = message;
  document.getElementById("ask-cancel").onclick = () => dialog.close("cancel");
  field.hidden = input === null;
  field.type = input?.type ?? "text";
  field.value = input?.value ?? "";
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "ok" ? field.value : null), { once: true });
  });
}
