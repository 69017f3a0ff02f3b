// Chromium's switches for WebGPU. No npm packages: the command line of npm run bench:webgpu lists the adapters.
const anyWebGpu = [
  '--enable-unsafe-webgpu',
  '--ignore-gpu-blocklist',
  // A software adapter takes seconds for work that the watchdog expects to be instant.
  '--disable-gpu-watchdog',
];

/** By adapter: the machine's own, or a software adapter. */
export const webGpuSwitches = {
  // Without a desktop, Chromium on Linux finds the machine's GPU only through Vulkan.
  default: [...anyWebGpu, ...(process.platform === 'linux' ? ['--enable-features=Vulkan'] : [])],
  swiftshader: [...anyWebGpu, '--use-webgpu-adapter=swiftshader'],
};
