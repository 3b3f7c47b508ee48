import { fileURLToPath } from 'node:url'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** The development server injects styles and a socket, which the page's policy forbids. */
const withoutPolicyWhileDeveloping: Plugin = {
  name: 'without-policy-while-developing',
  apply: 'serve',
  transformIndexHtml: (html) =>
    html.replace(/<meta\s+http-equiv="Content-Security-Policy"[^>]*>/, ''),
}

export default defineConfig({
  root: path('.'),
  base: './',
  plugins: [svelte(), withoutPolicyWhileDeveloping],
  resolve: {
    alias: [
      { find: /^lokahi$/, replacement: process.env.LOKAHI_ENTRY ?? path('../dist/index.js') },
      { find: /^lokahi\/(.*)$/, replacement: path('../dist/$1.js') },
    ],
  },
  worker: { format: 'es' },
  server: { fs: { allow: [path('..')] } },
  build: {
    outDir: path('dist'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
})
