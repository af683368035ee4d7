// Uploads into a sandbox: chosen or dropped files are sent one after the other, straight from the disk, and each shows how far it is.
// Text only ever becomes text nodes.
(() => {
  "use strict";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let active = 0;

  function sizeText(bytes) {
    let unit = 0;
    for (; bytes >= 1023.95 && unit < units.length - 1; unit++) bytes /= 1024;
    return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
  }

  // As Components/VisibleText.cs does.
  function visible(name) {
    return name
      .replace(/[\u0000-\u001f\u007f]/g, c => "^" + String.fromCharCode(c.charCodeAt(0) ^ 0x40))
      .replace(/[\u0080-\u009f\u200b\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
  }

  function element(tag, className, text) {
    const created = document.createElement(tag);
    if (className) created.className = className;
    if (text) created.textContent = text;
    return created;
  }

  class Upload {
    constructor(area, file) {
      this.area = area;
      this.file = file;
      this.url = area.url + encodeURIComponent(file.name);
      const name = visible(file.name);
      this.row = element("div", "upload");
      this.row.setAttribute("role", "group");
      this.row.setAttribute("aria-label", name);
      this.name = element("bdi", "upload-name file-name", name);
      this.name.title = name;
      this.bar = element("progress");
      this.bar.max = Math.max(file.size, 1);
      this.bar.value = 0;
      this.bar.setAttribute("aria-label", `Progress of ${name}`);
      this.state = element("span", "upload-state", "Waiting");
      this.state.setAttribute("role", "status");
      this.replace = this.button("Replace it", () => this.again());
      this.replace.hidden = true;
      this.stop = this.button("Cancel", () => this.end());
      this.row.append(this.name, this.bar, this.state, this.replace, this.stop);
    }

    button(text, action) {
      const created = element("button", "button", text);
      created.type = "button";
      created.addEventListener("click", action);
      return created;
    }

    again() {
      this.overwrite = true;
      this.isOver = false;
      this.replace.hidden = true;
      this.row.classList.remove("failed");
      this.bar.hidden = false;
      this.stop.textContent = "Cancel";
      this.stop.focus();
      this.area.enqueue(this);
    }

    // Takes the row away; an upload on its way is given up, and nothing of it stays in the sandbox.
    end() {
      this.isOver = true;
      this.request?.abort();
      this.row.remove();
    }

    // Never rejects: what went wrong stands in its row.
    send() {
      if (this.isOver) return Promise.resolve();
      this.state.textContent = `0 B of ${sizeText(this.file.size)}`;
      return new Promise(resolve => {
        const request = this.request = new XMLHttpRequest();
        request.open("PUT", this.url + (this.overwrite ? "&overwrite=true" : ""));
        // Without a session the server then answers 401 instead of a sign-in page.
        request.setRequestHeader("X-Requested-With", "XMLHttpRequest");
        request.setRequestHeader("Content-Type", "application/octet-stream");
        request.upload.addEventListener("progress", event => this.progress(event.loaded));
        request.addEventListener("loadend", () => {
          this.request = null;
          this.finish(request);
          resolve();
        });
        request.send(this.file);
      });
    }

    progress(loaded) {
      this.bar.value = loaded;
      this.state.textContent = loaded < this.file.size ? `${sizeText(loaded)} of ${sizeText(this.file.size)}` : "Finishing…";
    }

    finish(request) {
      if (this.isOver) return;
      this.isOver = true;
      this.stop.textContent = "Dismiss";
      this.bar.hidden = true;
      if (request.status === 204) {
        this.isDone = true;
        this.row.classList.add("done");
        this.state.textContent = `Uploaded, ${sizeText(this.file.size)}`;
        this.area.uploaded();
        return;
      }
      const refusal = this.refusal(request);
      this.row.classList.add("failed");
      this.state.textContent = refusal.text;
      this.replace.hidden = refusal.code !== "file_already_exists";
    }

    refusal(request) {
      if (request.status === 401) return { text: "Your session has ended: sign in again." };
      if (request.status === 0) return { text: "The connection broke, or the file cannot be read. Nothing was changed." };
      try {
        const { code, title, message } = JSON.parse(request.responseText);
        return { code, text: `${title}: ${visible(message)} (${visible(code)})` };
      } catch {
        return { text: `The dashboard answered ${request.status}.` };
      }
    }
  }

  class Area {
    constructor(root, page) {
      this.root = root;
      this.page = page;
      this.list = root.querySelector("[data-upload-list]");
      this.queue = [];
      const input = root.querySelector("[data-upload-input]");
      input.addEventListener("change", () => {
        this.take([...input.files]);
        input.value = "";
      });
      root.addEventListener("dragover", event => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        root.classList.add("dropping");
      });
      root.addEventListener("dragleave", event => {
        if (!root.contains(event.relatedTarget)) root.classList.remove("dropping");
      });
      root.addEventListener("drop", event => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        root.classList.remove("dropping");
        // A dropped folder stands among the files and cannot be read as one.
        const isFile = [...event.dataTransfer.items].map(item => !item.webkitGetAsEntry?.()?.isDirectory);
        this.take([...event.dataTransfer.files].filter((_, index) => isFile[index] ?? true));
      });
    }

    // Blazor changes the folder while the area stays.
    get url() { return this.root.dataset.uploadUrl; }

    take(files) {
      for (const row of this.list.querySelectorAll(".upload.done")) row.remove();
      for (const file of files) {
        const upload = new Upload(this, file);
        this.list.append(upload.row);
        this.enqueue(upload);
      }
    }

    async enqueue(upload) {
      this.queue.push(upload);
      if (this.isSending) return;
      this.isSending = true;
      active++;
      while (this.queue.length) await this.queue.shift().send();
      active--;
      this.isSending = false;
    }

    // The page may have been left meanwhile.
    uploaded() { this.page.invokeMethodAsync("Uploaded").catch(() => {}); }
  }

  window.addEventListener("beforeunload", event => {
    if (active) event.preventDefault();
  });

  window.crownest = window.crownest || {};
  window.crownest.uploads = { attach(root, page) { new Area(root, page); } };
})();
