// Chromium's switches for WebGPU. No npm packages: the help of npm run bench:webgpu lists the adapters.
const anyWebGpu = [
  '--enable-unsafe-webgpu',
  '--ignore-gpu-blocklist',
  // A software adapter needs seconds for work that the watchdog expects to take milliseconds.
  '--disable-gpu-watchdog',
];

/** Switches by adapter: the machine's default adapter, or SwiftShader, a software adapter. */
export const webGpuSwitches = {
  // Without a desktop, Chromium on Linux finds the machine's GPU only through Vulkan.
  default: [...anyWebGpu, ...(process.platform === 'linux' ? ['--enable-features=Vulkan'] : [])],
  swiftshader: [...anyWebGpu, '--use-webgpu-adapter=swiftshader'],
};
