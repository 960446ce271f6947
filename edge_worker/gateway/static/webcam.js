// A photo from the webcam; it is taken here and goes nowhere before the button is pressed.
import { make, notify } from "./dom.js";
import { text } from "./i18n.js";

let stream = null;

export function closeWebcam() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  document.getElementById("webcam")?.replaceChildren();
}

export async function webcamPanel(area, take) {
  closeWebcam();
  if (!navigator.mediaDevices) {
    notify(text("try.insecure"));
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, facingMode: { ideal: "environment" } } });
  } catch (error) {
    notify(text("try.no_webcam", { reason: error.message }));
    return;
  }
  const video = make("video", { autoplay: true, playsinline: true, "aria-label": text("try.webcam") });
  video.muted = true;
  video.srcObject = stream;
  area.replaceChildren(video, make("div", { class: "row" },
    make("button", { type: "button", class: "primary", onclick: () => capture(video, take) }, text("try.capture")),
    make("button", { type: "button", onclick: closeWebcam }, text("try.close"))));
}

function capture(video, take) {
  const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => take([new File([blob], `webcam-${Date.now()}.jpg`, { type: "image/jpeg" })]), "image/jpeg", 0.92);
}
