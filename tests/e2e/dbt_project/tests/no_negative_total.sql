{{ config(store_failures=true) }}

SELECT * FROM {{ ref('revenue') }} WHERE total < 0
