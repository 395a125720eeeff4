{{ config(materialized='view', schema='staging', indexes=[{'default': True}]) }}

SELECT region, total FROM {{ ref('revenue') }} ORDER BY total DESC LIMIT 1
