-- One SELECT an event: as a prepared statement, or as text with --db-ps-mode=disable.
function thread_init()
   connection = sysbench.sql.driver():connect()
   statement = connection:prepare("SELECT name FROM goods WHERE id = ?")
   id = statement:bind_create(sysbench.sql.type.INT)
   statement:bind_param(id)
end

function event()
   id:set(sysbench.rand.uniform(1, 1000))
   statement:execute()
end

function thread_done()
   statement:close()
   connection:disconnect()
end
