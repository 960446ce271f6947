"""The renderer's shaders: forward shading with one shadow map; class and person of each pixel in a second target."""

VERTEX = """#version 330
in vec3 pos; in vec3 nrm; in vec2 uv; in float lab; in vec4 tl;
uniform mat4 VP;
out vec3 P; out vec3 N; out vec2 U; out float Lb; out vec4 T;
void main() { P = pos; N = nrm; U = uv; Lb = lab; T = tl; gl_Position = VP * vec4(pos, 1); }"""

FRAGMENT = """#version 330
in vec3 P; in vec3 N; in vec2 U; in float Lb; in vec4 T;
layout(location = 0) out vec4 col;
layout(location = 1) out vec4 id;
uniform sampler2D tx; uniform sampler2DArray pat; uniform sampler2D wr; uniform sampler2DShadow sh;
uniform int mode;
uniform vec3 tint;
uniform float layer, scale, alphac, inst, wrk, spec, emis;
uniform mat4 LVP;
uniform vec3 eye, ldir, lcol, sky, gnd, p1, c1, p2, c2;
uniform float expo, shbias;

// Light of a lamp of colour c at p that falls on a surface with normal n.
vec3 lamp(vec3 p, vec3 c, vec3 n) {
  vec3 d = p - P;
  float r = dot(d, d);
  return c * max(dot(n, d) * inversesqrt(r), 0.) / (1. + r * .15);
}

void main() {
  vec3 a;
  vec4 t = vec4(1);
  if (mode == 0) { t = texture(tx, U); if (t.a < alphac) discard; a = pow(t.rgb, vec3(2.2)) * tint; }
  else if (mode == 1) {
    t = texture(tx, U);
    if (t.a < alphac) discard;
    float l = dot(t.rgb, vec3(.3, .6, .1));
    a = tint * l * scale;
  }
  else if (mode == 2) { a = pow(texture(pat, vec3(U * scale, layer)).rgb, vec3(2.2)) * tint; }
  else { a = pow(texture(pat, vec3(U, T.w)).rgb, vec3(2.2)) * T.rgb; }
  if (mode == 4) { col = vec4(clamp(texture(tx, U).rgb * tint, 0., 1.), 1); id = vec4(0, 0, 0, 1); return; }
  vec3 n = normalize(N);
  vec3 v = normalize(eye - P);
  if (dot(n, v) < 0.) n = -n;
  if (wrk > 0.) {
    vec2 g = texture(wr, U * vec2(2.2, 2.)).rg - .5 + .5 * (texture(wr, U * 7.).rg - .5);
    vec3 b = normalize(cross(abs(n.y) < .9 ? vec3(0, 1, 0) : vec3(1, 0, 0), n));
    n = normalize(n + wrk * (g.x * b + g.y * cross(n, b)));
  }
  vec4 s = LVP * vec4(P + n * .01, 1);
  s.xyz = s.xyz / s.w * .5 + .5;
  float k = 0.;
  if (s.x < 0. || s.x > 1. || s.y < 0. || s.y > 1. || s.z > 1.) k = 1.;
  else {
    float q = 1.2 / 1024.;
    for (int i = -1; i <= 1; i += 2)
      for (int j = -1; j <= 1; j += 2) k += texture(sh, vec3(s.xy + vec2(i, j) * q, s.z - shbias));
    k *= .25;
  }
  float nl = max(dot(n, ldir), 0.);
  vec3 c = mix(gnd, sky, .5 + .5 * n.y) + lcol * nl * k;
  c += lamp(p1, c1, n);
  c += lamp(p2, c2, n);
  vec3 o = a * c;
  o += spec * lcol * k * pow(max(dot(n, normalize(ldir + v)), 0.), 24.);
  o += spec * .3 * sky * pow(1. - max(dot(n, v), 0.), 4.);
  o += a * emis;
  if (mode == 3 && T.w >= 900.) o = a;
  o *= expo;
  o = o / (1. + max(o - .6, 0.) * .5);
  col = vec4(pow(clamp(o, 0., 1.), vec3(1. / 2.2)), 1);
  id = vec4(Lb / 255., inst / 255., 0, 1);
}"""

SHADOW_VERTEX = """#version 330
in vec3 pos; in vec2 uv;
uniform mat4 VP;
out vec2 U;
void main() { U = uv; gl_Position = VP * vec4(pos, 1); }"""

SHADOW_FRAGMENT = """#version 330
in vec2 U;
uniform sampler2D tx; uniform float alphac; uniform int mode;
void main() { if (mode < 2 && texture(tx, U).a < alphac) discard; }"""
