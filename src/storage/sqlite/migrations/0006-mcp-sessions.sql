-- What MCP sessions and tasks need to outlive a restart.
SELECT 1;
