// The output of a command: a bounded number of lines, appended in batches, followed until the reader scrolls up.
// Text only ever becomes text nodes.
(() => {
  "use strict";
  const maxLines = 4000;
  const maxLineLength = 4000;
  const nearEnd = 32;
  const views = new WeakMap();

  function element(tag, className, text) {
    const created = document.createElement(tag);
    if (className) created.className = className;
    if (text) created.textContent = text;
    return created;
  }

  class View {
    constructor(frame) {
      this.frame = frame;
      this.dropped = element("p", "output-dropped", `Only the last ${maxLines.toLocaleString()} lines are shown. Download has all that is kept.`);
      this.dropped.hidden = true;
      this.scroller = element("div", "output-lines");
      this.scroller.tabIndex = 0;
      this.scroller.setAttribute("role", "log");
      this.scroller.setAttribute("aria-live", "off");
      this.scroller.setAttribute("aria-label", "Output");
      this.jump = element("button", "button output-jump", "Follow the end");
      this.jump.type = "button";
      this.jump.dataset.shortcut = "e";
      this.jump.hidden = true;
      frame.replaceChildren(this.dropped, this.scroller, this.jump);
      this.isFollowing = true;
      this.line = null;
      this.length = 0;
      this.overwrite = false;
      this.scroller.addEventListener("scroll", () => this.onScroll(), { passive: true });
      this.jump.addEventListener("click", () => { this.follow(); this.scroller.focus({ preventScroll: true }); });
    }

    onScroll() {
      const { scrollHeight, scrollTop, clientHeight } = this.scroller;
      this.isFollowing = scrollHeight - scrollTop - clientHeight < nearEnd;
      this.jump.hidden = this.isFollowing;
    }

    follow() {
      this.isFollowing = true;
      this.jump.hidden = true;
      this.scroller.scrollTop = this.scroller.scrollHeight;
    }

    append(runs) {
      const lines = document.createDocumentFragment();
      this.added = lines;
      for (const run of this.tail(runs)) this.take(run);
      this.scroller.append(lines);
      this.added = null;
      let surplus = this.scroller.childElementCount - maxLines;
      if (surplus > 0) this.dropped.hidden = false;
      while (surplus-- > 0) this.scroller.firstElementChild.remove();
      if (this.isFollowing) this.follow();
    }

    // What would be dropped at once is not built first.
    tail(runs) {
      let lines = 0;
      for (let i = runs.length - 1; i >= 0; i--) {
        for (let at = runs[i].t.lastIndexOf("\n"); at >= 0; at = at > 0 ? runs[i].t.lastIndexOf("\n", at - 1) : -1) {
          if (++lines > maxLines) {
            this.dropped.hidden = false;
            this.line = null;
            return [{ ...runs[i], t: runs[i].t.slice(at + 1) }, ...runs.slice(i + 1)];
          }
        }
      }
      return runs;
    }

    take(run) {
      for (const part of run.t.split(/([\n\r])/)) {
        if (part === "\n") {
          // An empty line of its own still takes its place.
          if (!this.line) this.begin(run.s);
          this.line = null;
          this.overwrite = false;
        } else if (part === "\r") {
          this.overwrite = true;
        } else if (part) {
          this.write(run, part);
        }
      }
    }

    write(run, text) {
      if (this.line && this.stream !== run.s) this.line = null;
      if (this.overwrite && this.line) {
        this.line.replaceChildren();
        this.length = 0;
      }
      this.overwrite = false;
      for (let at = 0; at < text.length; at += maxLineLength) {
        const piece = text.slice(at, at + maxLineLength);
        if (!this.line) this.begin(run.s);
        else if (this.length + piece.length > maxLineLength) this.begin(run.s, "continued");
        this.length += piece.length;
        this.line.append(this.look(run, piece));
      }
    }

    begin(stream, more) {
      this.line = element("div", `line ${stream}${more ? " " + more : ""}`);
      if (stream === "err") this.line.title = "stderr";
      this.stream = stream;
      this.length = 0;
      this.added.append(this.line);
    }

    look(run, text) {
      if (!run.c && !run.f && !run.b) return document.createTextNode(text);
      const span = element("span", "look" + (run.c ? " " + run.c : ""), text);
      if (run.f) span.style.setProperty("--look-fg", run.f);
      if (run.b) span.style.setProperty("--look-bg", run.b);
      return span;
    }
  }

  window.crownest = window.crownest || {};
  window.crownest.output = {
    attach(frame) {
      views.set(frame, new View(frame));
    },
    // Resolves after a turn of the browser: input and painting come first, the sender waits.
    append(frame, runs) {
      return new Promise(resolve => setTimeout(() => {
        views.get(frame)?.append(runs);
        resolve();
      }, 16));
    },
  };
})();
