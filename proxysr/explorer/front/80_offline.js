// What-if in an offline file: equations 1 to 5 of latent_proxy in JavaScript; a test compares them with Python's.

const OFFLINE = {
  latent_proxy: (model, d) => latentProxy(model, d),
}

/** Answers by the model in the payload: {session, next, what_if, smallest}; null without a model. */
function offlineOf(d) {
  const make = d.offline && OFFLINE[d.offline.kind]
  return make ? make(d.offline, d) : null
}

function latentProxy(m, d) {
  const { dim: D, scale } = m
  const V = m.items.length / D
  const K = m.proxies.length / D
  const dot = (a, i, b, j) => { let sum = 0; for (let x = 0; x < D; x++) sum += a[i * D + x] * b[j * D + x]; return sum }
  const tables = lazily(() => {
    const length = Float64Array.from({ length: K }, (_, k) => Math.abs(m.strength) * Math.sqrt(dot(m.proxies, k, m.proxies, k)))
    const byProxy = new Float32Array(K * V) // exp(β p_k.ê_i − ||β p_k||)
    for (let k = 0; k < K; k++) for (let i = 1; i < V; i++) byProxy[k * V + i] = Math.exp(m.strength * dot(m.proxies, k, m.items, i) - length[k])
    return { length, byProxy }
  })

  /** Equation 1 times the scale: the short-term interest after `n` clicks. */
  function query(clicks, n) {
    const weights = new Float64Array(n)
    for (let u = 0; u < n; u++) {
      weights[u] = m.places[Math.min(n - 1 - u, m.places.length - 1)]
      if (!m.attention) continue
      for (let x = 0; x < D; x++) {
        let row = 0
        for (let y = 0; y < D; y++) row += m.attention[x * D + y] * m.items[clicks[u] * D + y]
        weights[u] += m.items[clicks[n - 1] * D + x] * row
      }
    }
    const most = Math.max(...weights)
    const q = new Float64Array(D)
    let total = 0
    for (let u = 0; u < n; u++) { const w = Math.exp(weights[u] - most); total += w; for (let x = 0; x < D; x++) q[x] += w * m.items[clicks[u] * D + x] }
    for (let x = 0; x < D; x++) q[x] = q[x] / total + dot(m.transition, x, m.items, clicks[n - 1])
    const norm = Math.sqrt(q.reduce((sum, v) => sum + v * v, 0)) || 1
    return q.map((v) => scale * v / norm)
  }

  /** The bias of items clicked already, by the place from the end of their latest click. */
  function repeats(clicks, n) {
    const bias = new Map()
    for (let u = 0; u < n; u++) bias.set(clicks[u], m.repeat_bias[Math.min(n - 1 - u, m.repeat_bias.length - 1)])
    return bias
  }

  /** Equation 2 after `n` clicks: each item's cosine part, its bias, and the normaliser of each proxy. */
  function after(clicks, n) {
    const q = query(clicks, n)
    const bias = repeats(clicks, n)
    const { byProxy, length } = tables()
    const own = new Float64Array(V)
    const grown = new Float64Array(V)
    for (let i = 1; i < V; i++) {
      own[i] = dot(q, 0, m.items, i)
      grown[i] = Math.exp(own[i] - scale + (bias.get(i) ?? 0))
    }
    const logZ = Float64Array.from({ length: K }, (_, k) => {
      let sum = 0
      for (let i = 1; i < V; i++) sum += grown[i] * byProxy[k * V + i]
      return Math.log(sum) + scale + length[k]
    })
    return { own, bias, logZ }
  }

  const centred = (xs) => { const mean = xs.reduce((a, b) => a + b, 0) / K; return xs.map((x) => x - mean) }
  const softmax = (xs) => { const most = Math.max(...xs); const e = xs.map((x) => Math.exp(x - most)); const sum = e.reduce((a,
    b) => a + b, 0); return e.map((x) => x / sum) }

  /** Equation 3, centred: what a click on an item says for each proxy, wherever it comes. */
  const addend = (item) => centred(Float64Array.from({ length: K }, (_, k) => dot(m.proxies, k, m.items, item) - m.log_z[k]))

  /** Equations 3 and 4: the addends of each click, those before the first, and the posterior after each. */
  function read(given, temperature) {
    const clicks = given.slice(-m.max_length)
    const prior = centred(m.log_weights)
    const addends = clicks.map(addend)
    const logits = prior.slice()
    const posterior = addends.map((one) => { for (let k = 0; k < K; k++) logits[k] += one[k]; return softmax(logits.map((x) => x / temperature)) })
    return { clicks, addends, posterior, logits }
  }

  const order = (xs) => [...xs.keys()].sort((a, b) => xs[b] - xs[a])

  /** Equation 5: scores of all items under weights of the proxies. */
  function scores(clicks, weights) {
    const { own, bias, logZ } = after(clicks, clicks.length)
    const { byProxy, length } = tables()
    const share = weights.map((w, k) => w * Math.exp(length[k] - logZ[k]))
    const scores = new Float64Array(V).fill(-Infinity)
    for (let i = 1; i < V; i++) {
      let sum = 0
      for (let k = 0; k < K; k++) sum += share[k] * byProxy[k * V + i]
      scores[i] = own[i] + Math.log(sum) + (bias.has(i) ? bias.get(i) + m.repeat_level : 0)
    }
    return scores
  }

  /** The best items; with task "unseen", clicked items are left out. */
  function best(scores, clicks, n = 10) {
    if (d.meta.task === 'unseen') for (const item of clicks) scores[item] = -Infinity
    return order(scores).slice(0, n).map((index) => { const item = d.byIndex.get(index); return { index,
      id: item === undefined ? String(index) : d.items.id[item], title: item === undefined ? `item ${index}` : d.title(item),
      score: scores[index] } })
  }

  const force = (weights, proxy) => (proxy == null ? weights : weights.map((_, k) => Number(k === proxy)))

  function whatIf({ clicks, temperature, proxy }) {
    const { posterior, addends, logits, clicks: kept } = read(clicks, temperature ?? m.temperature)
    const weights = force(posterior.at(-1), proxy)
    const ranked = order(weights)
    const first = proxy ?? ranked[0]
    const second = order(logits).find((k) => k !== first)
    return {
      weights: ranked.slice(0, 8).map((k) => ({ proxy: k, weight: weights[k] })), proxy: first, runner_up: second ?? -1,
        items: best(scores(kept, weights), kept),
      path: posterior.map((p) => order(p)[0]), path_p: posterior.map((p) => Math.max(...p)),
        evidence: addends.map((a) => (second === undefined ? 0 : a[first] - a[second])),
    }
  }

  /** The click to drop, or to replace by a frequent item, that changes the leading interest most clearly. */
  function smallest({ clicks: given }) {
    const now = read(given, m.temperature)
    const { clicks } = now
    const [before] = order(now.logits)
    const lead = (logits) => Math.max(...logits.filter((_, k) => k !== before)) - logits[before]
    const edits = clicks.length > 1 ? clicks.map((_, at) => ({ at, item: null })) : []
    edits.push(...promising(now, lead))
    let best = { lead: 0 }
    for (const edit of edits) {
      const edited = clicks.flatMap((x, i) => (i !== edit.at ? [x] : edit.item === null ? [] : [edit.item]))
      const reading = read(edited, m.temperature)
      if (lead(reading.logits) > best.lead) best = { ...edit, edited, lead: lead(reading.logits), weights: reading.posterior.at(-1) }
    }
    if (!best.edited) return { clicks: null, sentence: 'No change of a single click changes its interest.' }
    const [after] = order(best.weights)
    const title = (index) => `“${d.byIndex.has(index) ? d.title(d.byIndex.get(index)) : `item ${index}`}”`
    const what = `${title(clicks[best.at])} (click ${given.length - clicks.length + best.at + 1})`
    return {
      clicks: [...given.slice(0, given.length - clicks.length), ...best.edited],
      sentence: `${best.item === null ? `Dropping ${what}` : `Replacing ${what} by ${title(best.item)}`} makes it follow ${d.proxies[after].name} instead of ${d.proxies[before].name}, with probability ${best.weights[after].toFixed(2)}.`,
    }
  }

  /** The most promising replacements, by the sums of addends. */
  function promising({ clicks, addends, logits }, lead) {
    const common = [...d.items.index.keys()].sort((a, b) => d.items.count[b] - d.items.count[a]).slice(0,
      1000).map((item) => d.items.index[item])
    const swaps = []
    for (const item of common) {
      const own = addend(item)
      clicks.forEach((_, at) => {
        const gain = lead(logits.map((v, k) => v - addends[at][k] + own[k]))
        if (gain > 0) swaps.push({ at, item, gain })
      })
    }
    return swaps.sort((x, y) => y.gain - x.gain).slice(0, 20)
  }

  const clicksOf = (row) => Array.from(d.clicks(row), (item) => d.items.index[item])

  return {
    what_if: whatIf,
    session({ row }) {
      const { posterior } = read(clicksOf(row), m.temperature)
      const proxies = order(posterior.at(-1)).slice(0, 6)
      return { proxies, posterior_by_click: posterior.map((p) => proxies.map((k) => p[k])) }
    },
    next({ row, after: n }) {
      const clicks = clicksOf(row)
      const seen = clicks.slice(0, n).slice(-m.max_length)
      const ranked = scores(seen, read(seen, m.temperature).posterior.at(-1))
      const target = clicks[n] ?? null
      const isAsked = target !== null && !(d.meta.task === 'unseen' && seen.includes(target))
      const rank = !isAsked ? null : 1 + ranked.reduce((sum, score, i) => sum + (i > 0 && score > ranked[target]), 0)
      return { items: best(ranked, seen), target: target === null ? null : { index: target }, rank }
    },
    smallest,
  }
}
