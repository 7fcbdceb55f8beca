// The page of the local server: data by two requests, questions by POST, the state in the link.

async function bootServer() {
  const el = document.getElementById('explorer')
  const fetched = async (name, options) => {
    const answer = await fetch(name + location.search, options)
    if (!answer.ok) throw new Error(`The server answers ${answer.status} for ${name}. Is the link the one that proxysr explore printed?`)
    return answer
  }
  let id = 0
  const host = {
    name: 'server', can: { save: true, rename: true, link: true }, ...linkedState(),
    ask: async (kind, args) => {
      let answer
      try {
        answer = await (await fetched('request', { method: 'POST', headers: { 'Content-Type': 'application/json' },
          body: JSON.stringify({ ...args, id: ++id, kind }) })).json()
      } catch (error) {
        throw new Error(error instanceof TypeError ? 'The server does not answer any more. Start proxysr explore again.' : error.message)
      }
      if (answer.error) throw new Error(answer.error)
      return answer.answer
    },
  }
  try {
    const [header, buffer] = await Promise.all([fetched('payload.json').then((x) => x.json()),
      fetched('payload.bin').then((x) => x.arrayBuffer())])
    mount(el, { header, buffer }, host)
  } catch (error) {
    el.textContent = error.message
  }
}

bootServer()
