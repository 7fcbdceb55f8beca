// The page of a report: data from the file itself, nobody to ask.

async function bootReport() {
  const el = document.getElementById('explorer')
  try {
    const header = JSON.parse(document.getElementById('payload').textContent)
    const packed = Uint8Array.from(atob(document.getElementById('blob').textContent.trim()), (c) => c.charCodeAt(0))
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))
    const buffer = await new Response(stream).arrayBuffer()
    mount(el, { header, buffer }, { name: 'report', ask: null, can: { save: false, rename: false, link: true }, ...linkedState() })
  } catch (error) {
    el.textContent = `The data of this file could not be read: ${error.message}`
  }
}

bootReport()
