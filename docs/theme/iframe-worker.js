// The book is read from a folder, where browsers start no Worker: an iframe stands in for the one that searches.
class IFrameWorker extends EventTarget {
  constructor(url) {
    super()
    this.frame = document.createElement("iframe")
    this.frame.hidden = true
    document.body.append(this.frame)
    const inside = this.frame.contentWindow
    window.addEventListener("message", ({ source, data }) => {
      if (source !== inside) return
      const event = new MessageEvent("message", { data })
      this.dispatchEvent(event)
      this.onmessage?.(event)
    })
    this.ready = new Promise((resolve) => this.frame.addEventListener("load", resolve, { once: true }))
    inside.document.open()
    inside.document.write(`<script>
      postMessage = (data) => parent.postMessage(data, "*")
      importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise((resolve, reject) => {
        const script = document.createElement("script")
        Object.assign(script, { src: url, onload: resolve, onerror: reject })
        document.head.append(script)
      })), Promise.resolve())
    <\/script><script src="${url}"><\/script>`)
    inside.document.close()
  }

  postMessage(data) {
    const inside = this.frame.contentWindow
    this.ready.then(() => inside.dispatchEvent(new MessageEvent("message", { data })))
  }

  terminate() {
    this.frame.remove()
  }
}

if (location.protocol === "file:") Object.assign(window, { IFrameWorker, Worker: IFrameWorker })
