// The package for the test to call, and the devices that it opens.
window.devices = []
if (window.GPUAdapter) {
  const open = GPUAdapter.prototype.requestDevice
  GPUAdapter.prototype.requestDevice = async function (...given) {
    const device = await open.apply(this, given)
    window.devices.push(device)
    return device
  }
}
window.lokahi = import('lokahi')
window.agree = import('../../smollm2/agree.mjs')
