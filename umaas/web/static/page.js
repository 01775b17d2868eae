// Comfort only: every page works without it (UI-15).

// A second press of a button changes nothing; do not send it (double click).
for (const form of document.forms) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  // Back from the app or another page: the form may be sent again.
  window.addEventListener("pageshow", () => { sent = false; });
}

// "Choose all that was asked" without a round trip: the same lines the server would tick.
for (const button of document.querySelectorAll("[data-choose-all]")) {
  button.addEventListener("click", (event) => {
    event.preventDefault();
    for (const box of button.form.querySelectorAll("[data-common]")) box.checked = true;
  });
}

// Copy what stands beside the button.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    document.getElementById("copied").textContent = button.dataset.done;
  });
}

// A file is read here and sent as text.
for (const field of document.querySelectorAll("[data-file]")) {
  field.hidden = false;
  field.querySelector("input").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file) document.getElementById(field.dataset.file).value = await file.text();
  });
}

// After errors the summary has the focus (AX-02).
document.getElementById("problems")?.focus();
