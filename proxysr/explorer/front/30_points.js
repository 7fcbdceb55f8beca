// Dots. WebGL 2: positions are uploaded once, a new colour or choice sends one byte a dot. Fallback: a plain canvas.

const VERTEX = `#version 300 es
layout(location=0) in vec2 full; layout(location=1) in vec2 half_way; layout(location=2) in uint code; layout(location=3) in uint on;
uniform float t, size, faint; uniform vec2 scale, shift; uniform sampler2D palette; out vec4 ink;
void main() {
  vec2 at = mix(half_way, full, t) * scale + shift;
  bool listed = on == 1u;
  gl_Position = vec4(at, listed ? 0. : .5, 1); // listed dots lie in front
  gl_PointSize = listed ? size : size * .8;
  ink = texelFetch(palette, ivec2(listed ? int(code) : 255, 0), 0);
  if (!listed) ink.a = faint;
}`
const FRAGMENT = `#version 300 es
precision highp float; in vec4 ink; out vec4 colour; uniform float size;
void main() {
  float r = distance(gl_PointCoord, vec2(.5)) * 2.;
  float a = ink.a * (size < 3. ? 1. : 1. - smoothstep(1. - 2. / size, 1., r));
  colour = vec4(ink.rgb * a, a);
}`

/** Opacity of dots that are not listed: the more dots overlap, the lower. */
const faintOf = (n) => Math.min(0.25, Math.max(0.06, 5 / Math.sqrt(n)))

/** A layer of `n` dots: positions (2n) once, then `paint`, `choose` and `draw`. */
function makePoints(full, half, onfallback) {
  const canvas = h('canvas', { 'aria-hidden': 'true' })
  const gl = canvas.getContext('webgl2', { antialias: false, premultipliedAlpha: true })
  if (!gl) return plainPoints(canvas, full, half)
  canvas.addEventListener('webglcontextlost', onfallback)
  const program = gl.createProgram()
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(type)
    gl.shaderSource(shader, source)
    gl.compileShader(shader)
    gl.attachShader(program, shader)
  }
  gl.linkProgram(program)
  gl.useProgram(program)
  const n = full.length / 2
  const at = (name) => gl.getUniformLocation(program, name)
  const uniforms = { t: at('t'), size: at('size'), scale: at('scale'), shift: at('shift') }
  const buffer = (index, array, size) => {
    const made = gl.createBuffer()
    gl.bindBuffer(gl.ARRAY_BUFFER, made)
    gl.bufferData(gl.ARRAY_BUFFER, array, size === 2 ? gl.STATIC_DRAW : gl.DYNAMIC_DRAW)
    gl.enableVertexAttribArray(index)
    if (size === 2) gl.vertexAttribPointer(index, 2, gl.FLOAT, false, 0, 0)
    else gl.vertexAttribIPointer(index, 1, gl.UNSIGNED_BYTE, 0, 0)
    return made
  }
  const away = (xy) => xy.map((v) => (v === v ? v : 1e6))
  gl.uniform1f(at('faint'), faintOf(n))
  buffer(0, away(full), 2)
  buffer(1, away(half ?? full), 2)
  const codes = buffer(2, new Uint8Array(n), 1)
  const on = buffer(3, new Uint8Array(n).fill(1), 1)
  const send = (made, array) => { gl.bindBuffer(gl.ARRAY_BUFFER, made); gl.bufferSubData(gl.ARRAY_BUFFER, 0, array) }
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture())
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST)
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST)
  gl.enable(gl.BLEND)
  gl.enable(gl.DEPTH_TEST)
  gl.depthFunc(gl.LEQUAL)
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA)
  return {
    canvas, kind: 'webgl2',
    paint(array, palette) {
      send(codes, array)
      const texture = new Uint8Array(256 * 4)
      for (let i = 0; i < 256; i++) texture.set([...rgb(palette[i] ?? GREY), 235], 4 * i)
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, texture)
    },
    choose(mask) { send(on, mask) },
    draw({ scale, x, y, width, height, size, t }) {
      const ratio = devicePixelRatio || 1
      gl.viewport(0, 0, canvas.width, canvas.height)
      gl.clearColor(0, 0, 0, 0)
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT)
      gl.uniform2f(uniforms.scale, 2 * scale / width, 2 * scale / height)
      gl.uniform2f(uniforms.shift, 2 * x / width - 1, 1 - 2 * y / height)
      gl.uniform1f(uniforms.size, size * ratio)
      gl.uniform1f(uniforms.t, t)
      gl.drawArrays(gl.POINTS, 0, n)
    },
  }
}

/** The same on a plain canvas, slower. */
function plainPoints(canvas, full, half) {
  const context = canvas.getContext('2d')
  const n = full.length / 2
  let [codes, palette, mask] = [new Uint8Array(n), [GREY], new Uint8Array(n).fill(1)]
  return {
    canvas, kind: '2d',
    paint(array, colours) { [codes, palette] = [array, colours] },
    choose(array) { mask = array },
    draw({ scale, x, y, size, t }) {
      const ratio = devicePixelRatio || 1
      context.setTransform(ratio, 0, 0, ratio, 0, 0)
      context.clearRect(0, 0, canvas.width, canvas.height)
      for (const turn of [0, 1]) {
        context.globalAlpha = turn ? 0.92 : faintOf(n)
        for (let row = 0; row < n; row++) {
          if (mask[row] !== turn) continue
          const other = half ?? full
          const px = x + scale * (other[2 * row] + t * (full[2 * row] - other[2 * row]))
          const py = y - scale * (other[2 * row + 1] + t * (full[2 * row + 1] - other[2 * row + 1]))
          context.fillStyle = turn ? palette[codes[row]] ?? GREY : GREY
          context.fillRect(px - size / 2, py - size / 2, size, size)
        }
      }
    },
  }
}
