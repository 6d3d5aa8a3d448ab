<?php

declare(strict_types=1);

namespace Demo;

const HTML = ['Content-Type' => 'text/html; charset=utf-8'];

/** Requests that this process handled: a worker lives on, so what it keeps it keeps. */
final class Visits
{
    public static int $count = 0;
    public static float $since;
}

Visits::$since = microtime(true);

function escape(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE);
}

/** @param iterable<string, string> $rows name => text */
function table(iterable $rows): string
{
    $html = '<table>';
    foreach ($rows as $name => $text) {
        $html .= '<tr><th>' . escape((string) $name) . '</th><td>' . escape($text) . '</td></tr>';
    }

    return "$html</table>";
}

function page(string $title, string $content): string
{
    $title = escape($title);
    $pid = getmypid();
    $count = Visits::$count;

    return <<<HTML
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>$title</title>
        <style>
          :root { color-scheme: light dark; --line: #8884; --mark: #7047eb; }
          body { max-width: 44rem; margin: 0 auto; padding: 2.5rem 1.25rem; font: 16px/1.55 system-ui, sans-serif; }
          h1 { font-size: 1.6rem; letter-spacing: -0.02em; margin: 0 0 1rem; }
          a { color: var(--mark); }
          nav { margin-bottom: 2rem; }
          ul.routes { list-style: none; padding: 0; display: grid; gap: 0.5rem; }
          ul.routes a { display: block; padding: 0.7rem 1rem; border: 1px solid var(--line); border-radius: 0.6rem;
            text-decoration: none; }
          ul.routes a:hover { border-color: var(--mark); }
          ul.routes code { font-weight: 600; }
          ul.routes span { color: GrayText; margin-left: 0.5rem; }
          table { border-collapse: collapse; width: 100%; }
          th, td { text-align: left; padding: 0.4rem 0.6rem; border-bottom: 1px solid var(--line); vertical-align: top;
            overflow-wrap: anywhere; }
          th { font-weight: 600; white-space: nowrap; }
          input, textarea, button { font: inherit; padding: 0.5rem 0.7rem; border-radius: 0.5rem;
            border: 1px solid var(--line); }
          button { background: var(--mark); border-color: var(--mark); color: #fff; cursor: pointer; }
          form { display: grid; gap: 0.75rem; justify-items: start; margin-bottom: 1.5rem; }
          footer { margin-top: 2.5rem; color: GrayText; font-size: 0.85rem; }
        </style>
        </head>
        <body>
        <nav><a href="/">All routes</a></nav>
        <h1>$title</h1>
        $content
        <footer>Worker process $pid, request $count in its life.</footer>
        </body>
        </html>

        HTML;
}
