<?php

// Functions that the command line SAPI lacks, or that were switched off so that they can be declared here
// (FunctionTakeover). Each is declared only where there is none. Not strict: PHP's own ones convert their arguments.

if (!function_exists('header')) {
    function header(string $header, bool $replace = true, int $response_code = 0): void
    {
        Rrctl\Http\header($header, $replace, $response_code);
    }
}
if (!function_exists('header_remove')) {
    function header_remove(?string $name = null): void
    {
        Rrctl\Http\header_remove($name);
    }
}
if (!function_exists('headers_list')) {
    function headers_list(): array
    {
        return Rrctl\Http\headers_list();
    }
}
if (!function_exists('headers_sent')) {
    function headers_sent(&$filename = null, &$line = null): bool
    {
        $filename = '';
        $line = 0;

        return Rrctl\Http\headers_sent();
    }
}
if (!function_exists('header_register_callback')) {
    function header_register_callback(callable $callback): bool
    {
        return Rrctl\Http\header_register_callback($callback);
    }
}
if (!function_exists('http_response_code')) {
    function http_response_code(int $response_code = 0): int|bool
    {
        return Rrctl\Http\http_response_code($response_code);
    }
}
if (!function_exists('setcookie')) {
    function setcookie(
        string $name,
        string $value = '',
        array|int $expires_or_options = 0,
        string $path = '',
        string $domain = '',
        bool $secure = false,
        bool $httponly = false
    ): bool {
        return Rrctl\Http\setcookie($name, $value, $expires_or_options, $path, $domain, $secure, $httponly);
    }
}
if (!function_exists('setrawcookie')) {
    function setrawcookie(
        string $name,
        string $value = '',
        array|int $expires_or_options = 0,
        string $path = '',
        string $domain = '',
        bool $secure = false,
        bool $httponly = false
    ): bool {
        return Rrctl\Http\setrawcookie($name, $value, $expires_or_options, $path, $domain, $secure, $httponly);
    }
}
if (!function_exists('is_uploaded_file')) {
    function is_uploaded_file(string $filename): bool
    {
        return Rrctl\Http\is_uploaded_file($filename);
    }
}
if (!function_exists('move_uploaded_file')) {
    function move_uploaded_file(string $from, string $to): bool
    {
        return Rrctl\Http\move_uploaded_file($from, $to);
    }
}
if (!function_exists('flush')) {
    function flush(): void
    {
        Rrctl\Http\flush();
    }
}
if (!function_exists('connection_aborted')) {
    function connection_aborted(): int
    {
        return Rrctl\Http\connection_aborted();
    }
}
if (!function_exists('connection_status')) {
    function connection_status(): int
    {
        return Rrctl\Http\connection_aborted();
    }
}
if (!function_exists('ignore_user_abort')) {
    function ignore_user_abort(?bool $enable = null): int
    {
        return Rrctl\Http\ignore_user_abort($enable);
    }
}
if (!function_exists('fastcgi_finish_request')) {
    function fastcgi_finish_request(): bool
    {
        return Rrctl\Http\finish_request();
    }
}
if (!function_exists('getallheaders')) {
    function getallheaders(): array
    {
        return Rrctl\Http\getallheaders();
    }
}
if (!function_exists('apache_request_headers')) {
    function apache_request_headers(): array
    {
        return Rrctl\Http\getallheaders();
    }
}
if (!function_exists('filter_has_var')) {
    function filter_has_var(int $input_type, string $var_name): bool
    {
        return array_key_exists($var_name, Rrctl\Http\GlobalsWorker::current()->inputVariables($input_type));
    }
}
if (!function_exists('filter_input')) {
    function filter_input(int $type, string $var_name, int $filter = FILTER_DEFAULT, array|int $options = 0): mixed
    {
        $variables = Rrctl\Http\GlobalsWorker::current()->inputVariables($type);
        if (array_key_exists($var_name, $variables)) {
            return filter_var($variables[$var_name], $filter, $options);
        }
        $flags = is_array($options) ? (int) ($options['flags'] ?? 0) : $options;
        if (is_array($options) && isset($options['options']['default'])) {
            return $options['options']['default'];
        }

        return $flags & FILTER_NULL_ON_FAILURE ? false : null;
    }
}
if (!function_exists('filter_input_array')) {
    function filter_input_array(int $type, array|int $options = FILTER_DEFAULT, bool $add_empty = true): array|false|null
    {
        $variables = Rrctl\Http\GlobalsWorker::current()->inputVariables($type);

        return $variables === [] ? null : filter_var_array($variables, $options, $add_empty);
    }
}
