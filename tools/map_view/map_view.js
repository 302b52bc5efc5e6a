// The interactive map of a run's report. tools/build_map_view.py bundles it with three.js.
import {
  BufferAttribute,
  BufferGeometry,
  ColorManagement,
  LinearSRGBColorSpace,
  Mesh,
  MeshBasicMaterial,
  PerspectiveCamera,
  Points,
  Scene,
  ShaderMaterial,
  SphereGeometry,
  Vector2,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";
import { Line2 } from "three/examples/jsm/lines/Line2.js";
import { LineGeometry } from "three/examples/jsm/lines/LineGeometry.js";
import { LineMaterial } from "three/examples/jsm/lines/LineMaterial.js";

const FIELD_OF_VIEW_DEG = 50;
const PATH_COLOR = 0xff4081;
const START_COLOR = 0x00c878;
const BACKGROUND = 0x20262f;

// A surfel is a square of its size in metres. With `cull`, surfels seen from behind are left out,
// so that one looks into rooms through walls and ceilings.
const VERTEX_SHADER = `
attribute vec3 color;
uniform float sizeInMetres;
uniform float pixelsPerUnit;
uniform bool cull;
varying vec3 paint;
void main() {
  vec4 seen = modelViewMatrix * vec4(position, 1.0);
  float facing = dot(normalize(mat3(viewMatrix) * normal), -normalize(seen.xyz));
  gl_Position = projectionMatrix * seen;
  if (cull && facing < 0.05) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = clamp(sizeInMetres * pixelsPerUnit / -seen.z, 1.5, 24.0);
  paint = color * (0.72 + 0.28 * abs(facing));
}`;
const FRAGMENT_SHADER = `
varying vec3 paint;
void main() { gl_FragColor = vec4(paint, 1.0); }`;

function decode(text, Kind) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Kind(bytes.buffer);
}

function surfels(data) {
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(decode(data.positions, Uint16Array), 3, true));
  geometry.setAttribute("normal", new BufferAttribute(decode(data.normals, Int8Array), 3, true));
  geometry.setAttribute("color", new BufferAttribute(decode(data.colors, Uint8Array), 3, true));
  const material = new ShaderMaterial({
    vertexShader: VERTEX_SHADER,
    fragmentShader: FRAGMENT_SHADER,
    uniforms: {
      sizeInMetres: { value: data.size_m },
      pixelsPerUnit: { value: 1 },
      cull: { value: true },
    },
  });
  const points = new Points(geometry, material);
  // Quantised positions run from 0 to 1 over a box around the origin.
  points.scale.fromArray(data.extent_m);
  points.position.fromArray(data.extent_m).multiplyScalar(-0.5);
  points.frustumCulled = false;
  return points;
}

function pathLine(data, radius) {
  const positions = decode(data.path, Float32Array);
  const geometry = new LineGeometry();
  geometry.setPositions(positions.length > 3 ? positions : [...positions, ...positions]);
  const line = new Line2(geometry, new LineMaterial({ color: PATH_COLOR, linewidth: 3 }));
  const start = new Mesh(new SphereGeometry(radius), new MeshBasicMaterial({ color: START_COLOR }));
  start.position.fromArray(positions);
  return [line, start];
}

function show(holder, data) {
  ColorManagement.enabled = false;
  const renderer = new WebGLRenderer({ antialias: true });
  renderer.outputColorSpace = LinearSRGBColorSpace;
  renderer.setClearColor(BACKGROUND);
  renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
  holder.append(renderer.domElement);

  const camera = new PerspectiveCamera(FIELD_OF_VIEW_DEG, 1, data.reach_m / 500, data.reach_m * 20);
  camera.up.fromArray(data.up);
  const controls = new OrbitControls(camera, renderer.domElement);
  controls.zoomToCursor = true;
  const scene = new Scene();
  const map = surfels(data);
  scene.add(map);
  const path = data.path ? pathLine(data, data.reach_m / 300) : [];
  if (path.length) scene.add(...path);

  let waiting = false;
  const draw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      renderer.render(scene, camera);
    });
  };
  const home = () => {
    const half = Math.tan((FIELD_OF_VIEW_DEG * Math.PI) / 360);
    const distance = Math.max(data.half_height_m / half, data.half_width_m / (half * camera.aspect));
    controls.target.fromArray(data.target);
    const back = new Vector3().fromArray(data.forward).multiplyScalar(-1.1 * distance);
    camera.position.copy(controls.target).add(back);
    controls.update();
    draw();
  };
  const fit = () => {
    const width = holder.clientWidth;
    const height = holder.clientHeight;
    if (!width || !height) return;
    renderer.setSize(width, height);
    camera.aspect = width / height;
    camera.updateProjectionMatrix();
    const pixels = renderer.getDrawingBufferSize(new Vector2()).y;
    map.material.uniforms.pixelsPerUnit.value = pixels / (2 * Math.tan((FIELD_OF_VIEW_DEG * Math.PI) / 360));
    draw();
  };
  controls.addEventListener("change", draw);
  new ResizeObserver(fit).observe(holder);
  const control = (name) => holder.parentElement.querySelector(`[data-map="${name}"]`);
  control("cull").addEventListener("change", (event) => {
    map.material.uniforms.cull.value = event.target.checked;
    draw();
  });
  control("path").addEventListener("change", (event) => {
    path.forEach((part) => (part.visible = event.target.checked));
    draw();
  });
  control("home").addEventListener("click", home);
  fit();
  home();
}

for (const holder of document.querySelectorAll("[data-map=view]")) {
  const data = JSON.parse(holder.parentElement.querySelector("[data-map=data]").textContent);
  try {
    show(holder, data);
  } catch (error) {
    holder.textContent = `This browser cannot draw the map (${error.message}). It needs WebGL.`;
  }
}
