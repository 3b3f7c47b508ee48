export const THEMES = ['auto', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

const KEY = 'lokahi-theme'

export function rememberedTheme(): Theme {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? 'auto'
  } catch {
    return 'auto'
  }
}

export function useTheme(theme: Theme): void {
  if (theme === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

export function rememberTheme(theme: Theme): void {
  try {
    localStorage.setItem(KEY, theme)
  } catch {
    // a browser that stores nothing still has its theme until the page closes
  }
}
